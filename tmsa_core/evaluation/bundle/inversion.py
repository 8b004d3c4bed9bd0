"""The inversions of a bundle: what they draw, and how well they reconstruct a portrait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.align.crop import crop_without_face
from tmsa_core.align.paste import paste_back
from tmsa_core.bundles import Bundle
from tmsa_core.editing.inversions import WITH_DETAILS, Inversion, make_inversion
from tmsa_core.evaluation.judges import BATCH, accuracies, predict
from tmsa_core.evaluation.metrics import ssim
from tmsa_core.evaluation.subjects import Subjects
from tmsa_core.imaging.images import to_image, to_tensor
from tmsa_core.networks.attributes import AttributeNet
from tmsa_core.training.avatar.perceptual import feature_distance
from tmsa_core.training.avatar.pixels import at_side, psnr

Draw = Callable[[Tensor, Tensor], Tensor]
"""Codes (M,L,512) of the subjects with indices (M,) -> images (M,3,R,R) in [-1,1]."""


def drawings(bundle: Bundle, subjects: Subjects) -> dict[str, Draw]:
    """Returns how each inversion of the bundle draws codes."""
    generator, encoder = bundle.load("generator"), bundle.load("e4e")
    names = ("e4e", *(name for name in WITH_DETAILS if bundle.has(name)))
    return {
        name: _drawing(make_inversion(name, generator, encoder, bundle.load), subjects)
        for name in names
    }


def _drawing(inversion: Inversion, subjects: Subjects) -> Draw:
    parts = [inversion.invert(x, x) for x in subjects.images.split(BATCH)]
    w_plus = torch.cat([codes for codes, _ in parts])
    details = [torch.cat(values) for values in zip(*(kept for _, kept in parts), strict=True)]

    def draw(codes: Tensor, index: Tensor) -> Tensor:
        shift = codes - subjects.codes[index]
        made = [
            inversion.draw(w_plus[at], move, tuple(values[at] for values in details))
            for at, move in zip(index.split(BATCH), shift.split(BATCH), strict=True)
        ]
        return torch.cat(made).clamp(-1, 1)

    return draw


def put_back(draw: Draw, subjects: Subjects) -> Draw:
    """Returns a function that pastes what ``draw`` makes into the portraits, as the app does."""
    photos = [to_image(x) for x in subjects.images]
    inversions = [to_image(x) for x in draw(subjects.codes, torch.arange(len(photos)))]
    _, place = crop_without_face(photos[0], photos[0].width)

    def whole(codes: Tensor, index: Tensor) -> Tensor:
        made = zip(draw(codes, index), index.tolist(), strict=True)
        pasted = [
            paste_back(photos[i], to_image(x), place, inversions[i], drawn=True) for x, i in made
        ]
        return torch.cat([to_tensor(image) for image in pasted])

    return whole


def judge_features(judge: AttributeNet, images: Tensor) -> list[Tensor]:
    """Returns the features of the classifier's layers: (B,3,R,R) -> one (B,C,h,w) for each.

    Images are averaged down to twice the side that the classifier was trained on.
    """
    features = [F.relu(judge.stem(at_side(images, 2 * judge.size)))]
    for block in judge.blocks:
        features.append(block(features[-1]))
    return features


@torch.inference_mode()
def reconstruction(
    bundle: Bundle, subjects: Subjects, made: Tensor
) -> tuple[dict[str, float], Mapping[str, Tensor]]:
    """Compares reconstructions with the portraits.

    Args:
        bundle: The bundle. No network was trained with its classifier.
        subjects: N drawn portraits.
        made: (N,3,R,R), their reconstructions.

    Returns:
        psnr (dB), ssim, pixels (mean absolute difference), perceptual (``feature_distance`` in the
        classifier's features), identity (mean cosine) and attributes (share that the classifier
        reads correctly); and pixels and perceptual of each portrait (N,).
    """
    judge, identity = bundle.load("classifier"), bundle.load("identity")
    pairs = list(zip(made.split(BATCH), subjects.images.split(BATCH), strict=True))
    perceptual = [
        feature_distance(judge_features(judge, a), judge_features(judge, b)) for a, b in pairs
    ]
    distances = {
        "pixels": torch.cat([(a - b).abs().mean((1, 2, 3)) for a, b in pairs]),
        "perceptual": torch.cat(perceptual),
    }
    same = torch.cat([F.cosine_similarity(identity(a), identity(b)) for a, b in pairs])
    figures = {
        "psnr": psnr(made, subjects.images),
        "ssim": float(torch.cat([ssim(a, b) for a, b in pairs]).mean()),
        **{name: float(values.mean()) for name, values in distances.items()},
        "identity": float(same.mean()),
        "attributes": fmean(accuracies(predict(judge, made), subjects.portraits).values()),
    }
    return figures, distances
