"""HFGI against e4e: how much of a portrait comes back, and whether edits still do what they say.

The perceptual distance is taken in the features of the scoring classifier, which trains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.align.crop import crop_without_face
from tmsa_core.align.paste import paste_back
from tmsa_core.avatars.params import ATTRIBUTES
from tmsa_core.avatars.visibility import visible
from tmsa_core.bundles import Bundle
from tmsa_core.evaluation.avatar_images import batches, synthesise
from tmsa_core.evaluation.bundle.report import Draw, append_rows, edit_report, predict
from tmsa_core.evaluation.held_out import Subjects, make_subjects
from tmsa_core.evaluation.metrics import agreement, ssim
from tmsa_core.imaging.images import to_image, to_tensor
from tmsa_core.networks.attributes import AttributeNet
from tmsa_core.training.avatar.perceptual import feature_distance
from tmsa_core.training.avatar.pixels import psnr

PORTRAITS = 200


def drawings(bundle: Bundle, subjects: Subjects) -> dict[str, Draw]:
    """How each inversion draws codes of the subjects: e4e by its code alone, HFGI with the rest."""
    generator, hfgi = bundle.load("generator"), bundle.load("hfgi")
    pairs = zip(batches(subjects.renders), batches(subjects.codes), strict=True)
    residual = torch.cat([hfgi.residual(generator, x, w) for x, w in pairs])

    def e4e(codes: Tensor, rows: Tensor) -> Tensor:
        return synthesise(generator, codes)

    def fused(codes: Tensor, rows: Tensor) -> Tensor:
        pairs = zip(batches(codes), batches(residual[rows]), strict=True)
        return torch.cat([hfgi.fuse(generator, m, w).clamp(-1, 1) for w, m in pairs])

    return {"e4e": e4e, "hfgi": fused}


def put_back(draw: Draw, subjects: Subjects) -> Draw:
    """Whole images: what ``draw`` makes of codes, put back into the portraits as users get it."""
    photos = [to_image(x) for x in subjects.renders]
    inversions = [to_image(x) for x in draw(subjects.codes, torch.arange(len(photos)))]
    _, place = crop_without_face(photos[0], photos[0].width)

    def whole(codes: Tensor, rows: Tensor) -> Tensor:
        made = zip(draw(codes, rows), rows.tolist(), strict=True)
        pasted = [paste_back(photos[i], to_image(x), place, inversions[i]) for x, i in made]
        return torch.cat([to_tensor(image) for image in pasted])

    return whole


def judge_features(judge: AttributeNet, images: Tensor) -> list[Tensor]:
    """What the classifier's layers see: (B,3,R,R) -> one (B,C,h,w) for each."""
    features = [F.relu(judge.stem(images))]
    for block in judge.blocks:
        features.append(block(features[-1]))
    return features


def reconstruction(
    bundle: Bundle, subjects: Subjects, made: Tensor
) -> tuple[dict[str, float], Mapping[str, Tensor]]:
    """Figures of merit of images (N,3,R,R) against the renders, and two distances of each.

    psnr (dB), ssim, pixels (mean absolute difference), perceptual (``feature_distance``), identity
    (mean cosine), attributes (share that the classifier reads correctly).
    """
    judge, identity = bundle.load("classifier"), bundle.load("identity")
    pairs = list(zip(batches(made), batches(subjects.renders), strict=True))
    distances = {
        "pixels": torch.cat([(a - b).abs().mean((1, 2, 3)) for a, b in pairs]),
        "perceptual": torch.cat(
            [feature_distance(judge_features(judge, a), judge_features(judge, b)) for a, b in pairs]
        ),
    }
    same = torch.cat([F.cosine_similarity(identity(a), identity(b)) for a, b in pairs])
    read, portraits = predict(judge, made), subjects.portraits
    right = [
        agreement(read[name], portraits.attributes[name], visible(portraits, name))
        for name in ATTRIBUTES
    ]
    figures = {
        "psnr": psnr(made, subjects.renders),
        "ssim": float(torch.cat([ssim(a, b) for a, b in pairs]).mean()),
        **{name: float(values.mean()) for name, values in distances.items()},
        "identity": float(same.mean()),
        "attributes": sum(right) / len(right),
    }
    return figures, distances


@torch.inference_mode()
def evaluate_inversions(bundle: Bundle, count: int, out: Path) -> list[dict[str, object]]:
    """Measure both inversions on ``count`` held-out portraits and append the rows to ``out``.

    A row "reconstruction" for each; that of HFGI says on how many portraits it is nearer. A row
    "edit_by_inversion" for each and each of the six prompts, as ``edit_report`` has it, and a row
    "edit_put_back" of the whole images, held against the portraits themselves.
    """
    subjects = make_subjects(bundle, count)
    everyone = torch.arange(count)
    rows: list[dict[str, object]] = []
    reference: Mapping[str, Tensor] = {}
    for name, draw in drawings(bundle, subjects).items():
        figures, distances = reconstruction(bundle, subjects, draw(subjects.codes, everyone))
        nearer = {
            f"nearer_{k}": float((distances[k] < reference[k]).float().mean()) for k in reference
        }
        reference = reference or distances
        rows.append({"report": "reconstruction", "inversion": name} | figures | nearer)
        for report, way in (
            ("edit_by_inversion", draw),
            ("edit_put_back", put_back(draw, subjects)),
        ):
            edits = edit_report(bundle, subjects, draw=way)
            rows += [{"report": report, "inversion": name} | row for row in edits]
    common = {"portraits": count, "weights": bundle.fingerprint()}
    rows = [common | row for row in rows]
    append_rows(out, rows)
    return rows
