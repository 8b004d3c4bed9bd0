"""Draws figures of the alignment: images from the avatar bundle, and plots of the studies' rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from tmsa_core.avatars.params import Portraits, option_index
from tmsa_core.bundles import Bundle
from tmsa_core.editing.shift import calibrate, embed_text, semantic_shift
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.alignment.losses import trained_mapper
from tmsa_core.evaluation.alignment.setup import (
    COMMON_LENGTH,
    ROWS,
    newest,
    raw_direction,
    synthesise_half,
)
from tmsa_core.evaluation.json_lines import Row
from tmsa_core.evaluation.plots import new_plot, plot_image
from tmsa_core.evaluation.prompts import SIX
from tmsa_core.evaluation.subjects import render_portraits
from tmsa_core.imaging.contact_sheet import contact_sheet
from tmsa_core.imaging.images import to_image
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.training.avatar.renders import held_out_portraits
from tmsa_core.training.mapper.bank import ImageEmbedder

WORK = Path("runs") / "avatar"
SHOWN = 6
BATCH = 50
PEOPLE = 100  # of each kind in figure 8, as in the paper
PLAIN = {
    "facial_hair": "none",
    "eyewear": "none",
    "headwear": "none",
    "costume": "none",
    "wrinkles": "no",
    "eyes": "open",
    "background": "grey",
    "clothes": "tshirt",
    "clothes_colour": "white",
}
WOMEN, GIRLS = "female human face", "face of a young girl"


@dataclass(frozen=True)
class Networks:
    """The networks that make the images."""

    bundle: Bundle
    embedder: ImageEmbedder
    mapper: Mapper

    def text(self, text: str) -> Tensor:
        """Returns the CLIP embedding (D,) of a text."""
        return embed_text(self.embedder.clip, text)


def text_to_image(networks: Networks) -> Image.Image:
    """Returns Figure 7: G(M(t)), the mean face that a text describes."""
    targets = [SIX[0].neutral, *(prompt.target for prompt in SIX)]
    with torch.inference_mode():
        codes = networks.mapper.from_text(torch.stack([networks.text(t) for t in targets]))
    titles = ["neutral", *(prompt.name for prompt in SIX)]
    return contact_sheet([_images(networks, codes)], titles)


def reconstruction(networks: Networks) -> Image.Image:
    """Returns Figure 9: portraits, and what M and G make of their CLIP embeddings alone."""
    side = networks.embedder.generator.resolution
    images = render_portraits(held_out_portraits(SHOWN, seed=5), side)
    with torch.inference_mode():
        codes = networks.mapper(networks.embedder.clip.embed_images(images))
    rows = [[to_image(image) for image in images], _images(networks, codes)]
    return contact_sheet(rows, [f"portrait {i + 1}" for i in range(SHOWN)])


def spaces(networks: Networks) -> Image.Image:
    """Returns Figure 8: women, girls and their texts in CLIP's and StyleGAN's spaces.

    The mean of the two texts is placed on the mean of all images, which removes the offset between
    texts and images. Their difference is that of their embeddings in CLIP's space, and the shift
    of an edit in W.
    """
    from sklearn.manifold import TSNE

    images = render_portraits(women_and_girls(PEOPLE), networks.embedder.generator.resolution)
    encoder = networks.bundle.load("e4e")
    texts = torch.stack([networks.text(WOMEN), networks.text(GIRLS)])
    with torch.inference_mode():
        seen = torch.cat([networks.embedder.clip.embed_images(x) for x in images.split(BATCH)])
        mapped = networks.mapper(seen)
        inverted = torch.cat([encoder(x) for x in images.split(BATCH)])
    half = semantic_shift(networks.mapper, *texts) / 2
    written = mapped.mean(dim=0) + torch.stack([-half, half])
    clip_space = torch.cat([seen, texts - texts.mean(dim=0) + seen.mean(dim=0)]).numpy()
    w_space = torch.cat([mapped, inverted, written]).mean(dim=1).numpy()
    points = [
        TSNE(perplexity=30, init="pca", random_state=0).fit_transform(x)
        for x in (clip_space, w_space)
    ]
    return _two_spaces(points)


def _two_spaces(points: Sequence[np.ndarray]) -> Image.Image:
    plot, (left, right) = new_plot(2)
    kinds = (("women", "C3"), ("girls", "C0"))
    for axes, title, parts in (
        (left, "CLIP", ((0, "o", ""),)),
        (right, "StyleGAN, W", ((0, "o", ", by M"), (2 * PEOPLE, "x", ", by e4e"))),
    ):
        cloud = points[0] if axes is left else points[1]
        for start, marker, suffix in parts:
            for i, (kind, colour) in enumerate(kinds):
                some = cloud[start + i * PEOPLE : start + (i + 1) * PEOPLE]
                axes.scatter(*some.T, s=12, marker=marker, color=colour, alpha=0.6,
                             label=f"{kind}{suffix}")  # fmt: skip
        for i, (kind, colour) in enumerate(kinds):
            x, y = cloud[len(cloud) - 2 + i]
            axes.scatter(x, y, s=140, marker="^", color=colour, edgecolor="black",
                         label=f"text: {kind}")  # fmt: skip
        axes.set(title=title, xticks=[], yticks=[])
        axes.legend(fontsize=7)
    return plot_image(plot)


def in_domain(networks: Networks) -> Image.Image:
    """Returns Figure 11: edits by mappers trained with and without losses (2) and (3)."""
    return _ablation(networks, "without in-domain adjustment")


def adaption(networks: Networks) -> Image.Image:
    """Returns Figure 12: edits by mappers trained with and without loss (4)."""
    return _ablation(networks, "without adaption")


def _ablation(networks: Networks, name: str) -> Image.Image:
    """Returns two portraits, each edited by two mappers, at one common length of the shifts."""
    side = networks.embedder.generator.resolution
    images = render_portraits(held_out_portraits(2, seed=5), side)
    with torch.inference_mode():
        codes = networks.bundle.load("e4e")(images)
        z = torch.randn(2048, 512, generator=torch.Generator().manual_seed(0))
        w = networks.embedder.generator.map(z)
    length = COMMON_LENGTH * float((w - w.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    rows = []
    mappers = [trained_mapper(networks.bundle, n, WORK) for n in ("all losses", name)]
    for image, code in zip(images, codes, strict=True):
        for mapper in mappers:
            direction = raw_direction(mapper)
            shifts = [direction(networks.text(p.neutral), networks.text(p.target)) for p in SIX]
            edited = torch.stack([code + calibrate(shift, length) for shift in shifts])
            rows.append([to_image(image), *_images(networks, edited)])
    return contact_sheet(rows, ("portrait", *(p.name for p in SIX)))


def gap_plot(rows: Sequence[Row]) -> Image.Image:
    """Plots the scores of each treatment of the modality gap, at one common length."""
    frame = pd.DataFrame(rows)
    found = frame[(frame["row"] == "treatment") & (frame["scale"] == "common length")]
    plot, (axes,) = new_plot(1, (8.0, 5.5))
    names = ["cosine_to_truth", "success", "kept", "identity"]
    found.set_index("treatment")[names].plot.barh(ax=axes, width=0.8, ylabel="")
    axes.invert_yaxis()
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)
    return plot_image(plot)


def merit_plot(rows: Sequence[Row]) -> Image.Image:
    """Plots the scores along alpha, averaged over all prompts."""
    frame = pd.DataFrame(rows)
    means = frame[frame["row"] == "edit"].groupby("alpha")[["success", "kept", "identity", "clip"]]
    plot, (axes,) = new_plot(1)
    means.mean().plot(ax=axes, style="o-", grid=True)
    axes.axvline(1.0, color="grey", lw=0.8)
    return plot_image(plot)


def curve_plot(rows: Sequence[Row]) -> Image.Image:
    """Plots quality by generator evaluations, a line for each schedule."""
    frame = pd.DataFrame(rows).sort_values("evaluations")
    plot, both = new_plot(2)
    for axes, score in zip(both, ("cosine_to_truth", "success"), strict=True):
        for schedule in ("quick", "fast", "paper"):
            found = frame[frame["schedule"] == schedule]
            if len(found):
                axes.plot(found["evaluations"], found[score], "o-", label=schedule)
        axes.set(xscale="log", xlabel="generator evaluations", ylabel=score.replace("_", " "))
        axes.legend()
        axes.grid(alpha=0.3)
    return plot_image(plot)


IMAGES: dict[str, Callable[[Networks], Image.Image]] = {
    "figure-7": text_to_image,
    "figure-8": spaces,
    "figure-9": reconstruction,
    "figure-11": in_domain,
    "figure-12": adaption,
}
PLOTS: dict[str, Callable[[Sequence[Row]], Image.Image]] = {
    "gap": gap_plot,
    "merit": merit_plot,
    "curve": curve_plot,
}


def write_alignment_figure(name: str, bundle: Bundle | None, out: Path, results: Path) -> None:
    """Draws a figure of ``IMAGES`` from a bundle, or of ``PLOTS`` from the newest rows.

    Args:
        name: The figure.
        bundle: The avatar bundle; plots do not need it.
        out: The image file.
        results: The file of rows; images do not need it.

    Raises:
        RequestError: The study that a plot shows has not been run.
    """
    if name in IMAGES:
        embedder = ImageEmbedder(bundle.load("generator"), bundle.load("clip"))
        image = IMAGES[name](Networks(bundle, embedder, bundle.load("mapper")))
    else:
        rows = newest(ROWS.read(results), name)
        if not rows:
            raise RequestError(
                f"{results} has no rows of the study {name}: run `tmsa measure {name}` first."
            )
        image = PLOTS[name](rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    image.save(out)


def women_and_girls(count: int) -> Portraits:
    """Returns ``count`` grown women, then as many girls, with the same distracting attributes."""
    people = held_out_portraits(2 * count, seed=6).with_(gender="female", **PLAIN)
    adult, kid = option_index("age", "adult"), option_index("age", "kid")
    return people.with_(age=torch.tensor([adult] * count + [kid] * count))


def _images(networks: Networks, codes: Tensor) -> list[Image.Image]:
    return [to_image(image) for image in synthesise_half(networks.embedder, codes).float()]
