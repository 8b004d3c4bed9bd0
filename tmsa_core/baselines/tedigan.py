"""TediGAN ("Text-Guided Diverse Face Image Generation and Manipulation", Xia et al. 2021).

Its two forms. In the CLIP-guided one a code is optimised for a text while the image stays as it
was and the code stays where the encoder would put it. In the paper's own, style mixing, a text
encoder puts the text into W, and some rows of the image's code go over to the text's.
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

PART = "tedigan_text"
CAPTIONED = 512  # portraits whose captions teach the text encoder
CAPTIONS = 4  # of each
PENALTY = 1e-3  # of the ridge regression, in units of the embeddings' mean variance


@dataclass(frozen=True)
class Settings:
    """The authors' numbers, all losses being means.

    Their perceptual loss, of weight 5e-5, needs VGG's weights and is left out.
    """

    steps: int = 200
    rate: float = 0.01
    pixels: float = 1.0
    encoder: float = 2.0
    clip: float = 2.0


SETTINGS: dict[str, Settings] = {}
"""Where a domain differs: nowhere so far."""


def find_edit(
    world: FrozenNetworks, w_plus: Tensor, texts: Texts, settings: Settings | None = None
) -> Edit:
    """The CLIP-guided form: optimise every code by itself."""
    settings = settings or SETTINGS.get(world.domain, Settings())
    target = plain_text(world.clip, texts.target)
    with torch.no_grad():
        start = world.generator.synthesise(w_plus)
    w = w_plus.clone().requires_grad_()
    optimiser = torch.optim.Adam([w], lr=settings.rate)
    for step in range(settings.steps):
        world.tick(step, settings.steps)
        with torch.autocast(world.device, torch.bfloat16):
            images = world.generator.synthesise(w)
            found = world.encoder(encoder_input(images))
            seen = world.clip.embed_images(images)
        loss = (
            settings.pixels * (images - start).square().mean(dim=(1, 2, 3))
            + settings.encoder * (w - found).square().mean(dim=(1, 2))
            + settings.clip * (1 - seen @ target)
        )
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
    return Edit(w_shift=(w - w_plus).detach())


def find_mixing_edit(world: FrozenNetworks, w_plus: Tensor, texts: Texts) -> Edit:
    """The style-mixing form: rows 4 to 7 go over to the text's code, alpha being the share.

    Those rows hold what texts about faces mostly speak of; the paper picks rows by hand.
    """
    prepare(world)
    encoder = load_part(world, PART)
    w = (plain_text(world.clip, texts.target) - encoder["mean"]) @ encoder["weight"]
    rows = level_mask("medium", w_plus.shape[1]).to(w_plus.device)
    return Edit(w_shift=rows * (w + encoder["code"] - w_plus))


def prepare(world: FrozenNetworks) -> float:
    """Fit the text encoder unless that is done; the seconds that it took.

    CLIP's text tower stands in for the paper's recurrent network, since it has read such
    sentences already; a linear map from it to the codes of captioned images is then fitted in
    closed form, to the same squared distance of text and image codes.
    """
    if not part_path(world, PART).exists():
        start = time.perf_counter()
        texts, codes = zip(*captioned_codes(world), strict=True)
        parts = fit_text_encoder(torch.cat(texts), torch.cat(codes))
        save_part(world, PART, parts, time.perf_counter() - start, portraits=CAPTIONED)
    return part_seconds(world, PART)


def fit_text_encoder(texts: Tensor, codes: Tensor) -> dict[str, Tensor]:
    """Ridge regression of codes (N,w_dim) on text embeddings (N,clip_dim).

    -> mean (clip_dim,), code (w_dim,), weight (clip_dim,w_dim): the code of a text t is
    (t - mean) @ weight + code.
    """
    mean, code = texts.mean(dim=0), codes.mean(dim=0)
    x, y = texts - mean, codes - code
    gram = x.T @ x / len(x)
    penalty = PENALTY * gram.trace() * torch.eye(len(gram), device=gram.device)
    return {
        "mean": mean,
        "code": code,
        "weight": torch.linalg.solve(gram + penalty, x.T @ y / len(x)),
    }


@torch.inference_mode()
def captioned_codes(world: FrozenNetworks) -> Iterator[tuple[Tensor, Tensor]]:
    """Text embeddings (N,clip_dim) and e4e codes (N,w_dim) of captioned images, in batches."""
    if not find_domain(world.domain).has_truth:
        raise RequestError(
            f"Style mixing learns from captioned images, and {quoted(world.domain)} has none: "
            "leave out the method tedigan_mixing."
        )
    from tmsa_core.avatars.language.captions import captions
    from tmsa_core.avatars.render import render
    from tmsa_core.training.avatar.renders import chunk_portraits

    portraits = chunk_portraits(seed=0, chunk=0, count=CAPTIONED)
    rng = torch.Generator().manual_seed(0)
    for index in torch.arange(CAPTIONED).split(32):
        some = portraits[index]
        codes = world.encoder(render(some, world.generator.resolution).images.to(world.device))
        for _ in range(CAPTIONS):
            sentences = [caption.text for caption in captions(some, rng)]
            yield world.clip.embed_texts(sentences), codes.mean(dim=1)
