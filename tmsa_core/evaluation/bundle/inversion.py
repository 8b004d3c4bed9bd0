"""The inversions e4e and HFGI: what they draw, and how well they reconstruct a portrait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.align.crop import crop_without_face
from tmsa_core.align.paste import paste_back
from tmsa_core.bundles import Bundle
from tmsa_core.evaluation.judges import BATCH, accuracies, predict
from tmsa_core.evaluation.metrics import ssim
from tmsa_core.evaluation.subjects import Subjects, synthesise
from tmsa_core.imaging.images import to_image, to_tensor
from tmsa_core.networks.attributes import AttributeNet
from tmsa_core.training.avatar.perceptual import feature_distance
from tmsa_core.training.avatar.pixels import psnr

Draw = Callable[[Tensor, Tensor], Tensor]
"""Codes (M,L,512) of the subjects with indices (M,) -> images (M,3,R,R) in [-1,1]."""


def drawings(bundle: Bundle, subjects: Subjects) -> dict[str, Draw]:
    """Returns how each inversion draws codes: e4e by the generator alone, HFGI with residuals."""
    generator, hfgi = bundle.load("generator"), bundle.load("hfgi")
    pairs = zip(subjects.images.split(BATCH), subjects.codes.split(BATCH), strict=True)
    residual = torch.cat([hfgi.residual(generator, x, w) for x, w in pairs])

    def e4e(codes: Tensor, index: Tensor) -> Tensor:
        return synthesise(generator, codes)

    def fused(codes: Tensor, index: Tensor) -> Tensor:
        sets = (x.split(BATCH) for x in (residual[index], codes, subjects.images[index]))
        parts = zip(*sets, strict=True)
        return torch.cat([hfgi.fuse(generator, r, w, images=x).clamp(-1, 1) for r, w, x in parts])

    return {"e4e": e4e, "hfgi": fused}


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
    """Returns the features of the classifier's layers: (B,3,R,R) -> one (B,C,h,w) for each."""
    features = [F.relu(judge.stem(images))]
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
