"""Every method that the comparison runs, ours included, under one signature.

``METHODS[key].find_edit(world, w_plus, texts) -> Edit``. A new method is a file and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from tmsa_core.baselines import (
    clip2stylegan,
    styleclip_global,
    styleclip_mapper,
    styleclip_optimise,
    tedigan,
    tmsa,
)
from tmsa_core.baselines.interface import Edit, FrozenNetworks, Texts, open_networks
from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError, quoted

__all__ = [
    "METHODS",
    "Edit",
    "Method",
    "Texts",
    "FrozenNetworks",
    "check_methods",
    "obstacle",
    "open_networks",
]

FindEdit = Callable[[FrozenNetworks, Tensor, Texts], Edit]


@dataclass(frozen=True)
class Method:
    """A row of the comparison.

    prepare: what is done once for a generator; prepare_text: once for a text. Both return the
    seconds that it took, whenever that was. searches: an edit is an optimisation for every
    image, so that fewer images are affordable. mapper: edits depend on TMSA's mapping network
    too. strengths: from which its alpha is tuned. published: its settings as its authors have
    them; settings: those of domains that differ. changed: what else is not as its authors have it.
    captions: learns from captioned images, which only drawn portraits are. styles: edits the
    style space, past W+.
    """

    title: str
    find_edit: FindEdit
    prepare: Callable[[FrozenNetworks], float | None] | None = None
    prepare_text: Callable[[FrozenNetworks, Texts], float] | None = None
    searches: bool = False
    mapper: bool = False
    strengths: tuple[float, ...] = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
    published: object | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    changed: str = ""
    captions: bool = False
    styles: bool = False

    def differences(self, domain: str) -> dict[str, list[object]]:
        """Settings that differ in a domain: name -> [here, published]."""
        here = self.settings.get(domain)
        if here is None or self.published is None:
            return {}
        theirs = vars(self.published)
        return {k: [v, theirs[k]] for k, v in vars(here).items() if v != theirs[k]}


SEARCHED = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Strengths of methods that search: how far along the step that the search found."""

METHODS: dict[str, Method] = {
    # its alpha = 1 was set by the same rule when the mapper was calibrated
    "tmsa": Method("TMSA (ours)", tmsa.find_edit, tmsa.prepare, mapper=True, strengths=(1.0,)),
    "styleclip_optimise": Method(
        "StyleCLIP, latent optimisation",
        styleclip_optimise.find_edit,
        searches=True,
        strengths=SEARCHED,
        published=styleclip_optimise.Settings(),
        settings=styleclip_optimise.SETTINGS,
        changed="CLIP sees an image with its mean and deviation, which the authors' code leaves "
        "out; the identity loss has the paper's weight 0.005, which their code sets to 0.",
    ),
    "styleclip_mapper": Method(
        "StyleCLIP, latent mapper",
        styleclip_mapper.find_edit,
        prepare_text=styleclip_mapper.prepare_text,
        published=styleclip_mapper.Settings(),
        settings=styleclip_mapper.SETTINGS,
        changed="Adam trains it in place of Ranger, on random codes alone, one of the two sources "
        "that its authors use.",
    ),
    "styleclip_global": Method(
        "StyleCLIP, global directions",
        styleclip_global.find_edit,
        styleclip_global.prepare,
        strengths=(0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0),
        published=styleclip_global.Settings(),
        settings=styleclip_global.SETTINGS,
        changed="The text direction averages all 80 templates, of which their list has 79; all "
        "codes behind the channels' mean and deviation are truncated; every layer but the to-RGB "
        "ones is measured, and a channel keeps its value once it has been.",
        styles=True,
    ),
    "tedigan": Method(
        "TediGAN, CLIP-guided",
        tedigan.find_edit,
        searches=True,
        strengths=SEARCHED,
        published=tedigan.Settings(),
        settings=tedigan.SETTINGS,
        changed="There is no perceptual loss (of weight 0.00005), which needs VGG's weights; CLIP "
        "sees an image through its own preprocessing.",
    ),
    "tedigan_mixing": Method(
        "TediGAN, style mixing",
        tedigan.find_mixing_edit,
        tedigan.prepare,
        strengths=(0.25, 0.5, 0.75, 1.0),
        changed="CLIP's text tower and a linear map, fitted to captioned portraits, stand in for "
        "the paper's recurrent text encoder; rows 4 to 7 are mixed for every text, where the paper "
        "picks rows by hand.",
        captions=True,
    ),
    "clip2stylegan": Method(
        "CLIP2StyleGAN",
        clip2stylegan.find_edit,
        clip2stylegan.prepare,
        changed="A text takes its share of every component, where its authors name single "
        "components after texts; on drawn portraits it ranks 2,048 random images, elsewhere "
        "20,000.",
    ),
}


def check_methods(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once; a RequestError lists the methods there are."""
    stripped = [name.strip() for name in names]
    for name in stripped:
        if name not in METHODS:
            raise RequestError(
                f"There is no method {quoted(name)}; use some of {', '.join(METHODS)}."
            )
    return tuple(dict.fromkeys(stripped))


def obstacle(name: str, domain: str, inversion: str = "e4e") -> str | None:
    """Why a method cannot edit the images of a domain, in a sentence; None where it can."""
    method = METHODS[name]
    if method.captions and not find_domain(domain).has_truth:
        return f"{name} learns from captioned images, and {quoted(domain)} has none: leave it out."
    if method.styles and inversion == "hfgi":
        return f"{name} edits the style space, and HFGI needs edits in W+: leave it out."
    return None
