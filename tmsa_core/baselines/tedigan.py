"""TediGAN, in two forms: CLIP-guided optimisation and style mixing.

Paper: Xia et al. 2021, "TediGAN: Text-Guided Diverse Face Image Generation and Manipulation".
Reference implementation: IIGROUP/TediGAN.

CLIP-guided (base/utils/inverter.py): optimises the code for the text, while the image should stay
the same and the code should stay close to the encoder's code of the edited image. Differences:

- There is no perceptual loss (theirs has the weight 5e-5), since it needs the weights of VGG.
- The pixel loss compares with the reconstruction of the photo instead of the photo.
- The bundle's StyleGAN2 and e4e take the place of StyleGAN and its in-domain encoder.
- CLIP reads the image with its own preprocessing; theirs omits CLIP's mean and deviation.
- The networks run in bfloat16, and several images are optimised in a batch, independently.

Style mixing (the paper's own form): a text encoder maps the text to W, and some rows of the image's
code are replaced by the text's. Differences:

- CLIP's text encoder and a linear map, fitted to captioned portraits, take the place of the
  paper's recurrent text encoder.
- Rows 4 to 7 are mixed for every text; the paper selects rows by hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tmsa_core.baselines.interface import (
    Edit,
    FrozenNetworks,
    Texts,
    encoder_input,
    load_part,
    part_path,
    part_seconds,
    plain_text,
    save_part,
)
from tmsa_core.domains import find_domain
from tmsa_core.editing.shift import level_mask
from tmsa_core.errors import RequestError, quoted
from tmsa_core.training.mapper.closed_form import ridge

PART = "tedigan_text"
CAPTIONED = 512  # portraits that the text encoder is fitted to
CAPTIONS = 4  # captions of each
PENALTY = 1e-3  # of the ridge regression, in units of the embeddings' total variance


@dataclass(frozen=True)
class Settings:
    """The authors' settings of the CLIP-guided form.

    Attributes:
        steps: Steps of Adam.
        rate: Learning rate.
        pixels: Weight of the mean squared difference of the pixels.
        encoder: Weight of the mean squared distance from the encoder's code.
        clip: Weight of the CLIP loss.
    """

    steps: int = 200
    rate: float = 0.01
    pixels: float = 1.0
    encoder: float = 2.0
    clip: float = 2.0


SETTINGS: dict[str, Settings] = {}  # domains with other settings: none


def find_edit(
    networks: FrozenNetworks, w_plus: Tensor, texts: Texts, settings: Settings | None = None
) -> Edit:
    """The CLIP-guided form: optimise each of the codes w_plus (B,L,512) independently."""
    settings = settings or SETTINGS.get(networks.domain, Settings())
    target = plain_text(networks.clip, texts.target)
    with torch.no_grad():
        start = networks.generator.synthesise(w_plus)
    w = w_plus.clone().requires_grad_()
    optimiser = torch.optim.Adam([w], lr=settings.rate)
    for step in range(settings.steps):
        networks.progress(step, settings.steps, "optimising the code")
        with torch.autocast(networks.device, torch.bfloat16):
            images = networks.generator.synthesise(w)
            found = networks.encoder(encoder_input(images))
            seen = networks.clip.embed_images(images)
        loss = (
            settings.pixels * (images - start).square().mean(dim=(1, 2, 3))
            + settings.encoder * (w - found).square().mean(dim=(1, 2))
            + settings.clip * (1 - seen @ target)
        )
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
    return Edit(w_shift=(w - w_plus).detach())


def find_mixing_edit(networks: FrozenNetworks, w_plus: Tensor, texts: Texts) -> Edit:
    """The style-mixing form: move rows 4 to 7 of w_plus (B,L,512) to the text's code.

    Those rows determine what texts about faces mostly describe.
    """
    prepare(networks)
    encoder = load_part(networks, PART)
    w = (plain_text(networks.clip, texts.target) - encoder["mean"]) @ encoder["weight"]
    rows = level_mask("medium", w_plus.shape[1]).to(w_plus.device)
    return Edit(w_shift=rows * (w + encoder["code"] - w_plus))


def prepare(networks: FrozenNetworks) -> float:
    """Fit the text encoder if necessary; returns the seconds that it took.

    The linear map from CLIP's text embeddings to the codes of captioned images is fitted in closed
    form, with the paper's objective: the squared distance of text and image codes.
    """
    if not part_path(networks, PART).exists():
        start = time.perf_counter()
        texts, codes = zip(*captioned_codes(networks), strict=True)
        parts = fit_text_encoder(torch.cat(texts), torch.cat(codes))
        save_part(networks, PART, parts, time.perf_counter() - start, portraits=CAPTIONED)
    return part_seconds(networks, PART)


def fit_text_encoder(texts: Tensor, codes: Tensor) -> dict[str, Tensor]:
    """Ridge regression of codes (N,512) on text embeddings (N,D).

    Returns:
        mean (D,), code (512,) and weight (D,512): a text embedding t has the code
        (t - mean) @ weight + code.
    """
    mean, code = texts.mean(dim=0), codes.mean(dim=0)
    x, y = texts - mean, codes - code
    penalty = PENALTY * float(x.square().sum(dim=1).mean())
    return {"mean": mean, "code": code, "weight": ridge(x, y, penalty)}


@torch.inference_mode()
def captioned_codes(networks: FrozenNetworks) -> Iterator[tuple[Tensor, Tensor]]:
    """Embed captions and invert their images.

    Yields:
        Text embeddings (N,D) and the mean rows (N,512) of the e4e codes of their images.

    Raises:
        RequestError: If the domain has no captioned images.
    """
    if not find_domain(networks.domain).has_truth:
        raise RequestError(
            f"Style mixing learns from captioned images, and {quoted(networks.domain)} has none: "
            "leave out the method tedigan_mixing."
        )
    from tmsa_core.avatars.language.captions import captions
    from tmsa_core.avatars.render import render
    from tmsa_core.training.avatar.renders import chunk_portraits

    portraits = chunk_portraits(seed=0, chunk=0, count=CAPTIONED)
    rng = torch.Generator().manual_seed(0)
    for index in torch.arange(CAPTIONED).split(32):
        some = portraits[index]
        codes = networks.encoder(
            render(some, networks.generator.resolution).images.to(networks.device)
        )
        for _ in range(CAPTIONS):
            sentences = [caption.text for caption in captions(some, rng)]
            yield networks.clip.embed_texts(sentences), codes.mean(dim=1)
