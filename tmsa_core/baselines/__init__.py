"""The compared methods, TMSA included, with one signature.

``METHODS[key].find_edit(networks, w_plus, texts) -> Edit``. A new method is one file and one row.
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
from tmsa_core.editing.inversions import WITH_DETAILS
from tmsa_core.errors import RequestError, quoted

__all__ = [
    "METHODS",
    "Edit",
    "FrozenNetworks",
    "Method",
    "Texts",
    "check_methods",
    "obstacle",
    "open_networks",
]

FindEdit = Callable[[FrozenNetworks, Tensor, Texts], Edit]  # the tensor is w_plus (B,L,512)


@dataclass(frozen=True)
class Method:
    """A method of the comparison.

    Attributes:
        title: Name in tables.
        find_edit: Finds the edit of codes w_plus (B,L,512).
        prepare: Work done once per generator; returns the seconds that it took, now or earlier.
        prepare_text: Work done once per text, likewise.
        searches: Whether it optimises every image, so that fewer images are affordable.
        mapper: Whether its edits depend on TMSA's mapper.
        strengths: The values that its alpha is chosen from.
        published: Its settings as published.
        settings: Its settings in domains where they differ.
        changed: The other differences from the authors' code.
        captions: Whether it learns from captioned images, which only the drawn domain has.
        styles: Whether it edits the style space instead of W+.
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
        """Settings that differ in a domain, as name -> [here, published]."""
        here = self.settings.get(domain)
        if here is None or self.published is None:
            return {}
        theirs = vars(self.published)
        return {k: [v, theirs[k]] for k, v in vars(here).items() if v != theirs[k]}


# Strengths of methods that search, in units of the shift that the search found.
SEARCHED = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)

METHODS: dict[str, Method] = {
    # The calibration of the mapper has already set alpha = 1 by the same rule.
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
    """Names of methods without duplicates; raises RequestError for an unknown one."""
    stripped = [name.strip() for name in names]
    for name in stripped:
        if name not in METHODS:
            raise RequestError(
                f"There is no method {quoted(name)}; use some of {', '.join(METHODS)}."
            )
    return tuple(dict.fromkeys(stripped))


def obstacle(name: str, domain: str, inversion: str = "e4e") -> str | None:
    """The reason why a method cannot edit images of a domain, or None if it can."""
    method = METHODS[name]
    if method.captions and not find_domain(domain).has_truth:
        return f"{name} learns from captioned images, and {quoted(domain)} has none: leave it out."
    if method.styles and inversion in WITH_DETAILS:
        return f"{name} edits the style space, and {inversion} needs edits in W+: leave it out."
    return None
