"""Training of any domain's mapper, as ``tmsa train DOMAIN`` runs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tmsa_core.bundles import open_bundle
from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError
from tmsa_core.training.avatar.renders import open_pool
from tmsa_core.training.mapper.export import check_writable
from tmsa_core.training.mapper.image_folder import Images, open_images
from tmsa_core.training.mapper.loop import check_bundle, export_alignment, train_alignment
from tmsa_core.training.mapper.presets import REAL_IMAGES, RUN_NAME, find_preset
from tmsa_core.training.run import Options


def train_domain(
    domain: str,
    options: Options,
    preset: str = "fast",
    images: Path | None = None,
    steps: int | None = None,
) -> dict[str, object]:
    """Train a domain's mapper and add it to the domain's bundle.

    Args:
        domain: Key of the domain.
        options: How to run the training.
        preset: Name of the training schedule.
        images: Folder of aligned crops for losses (1) and (4). Without it the drawn domain uses
            its rendered portraits, if there are any; the other domains use synthetic images only.
        steps: Number of iterations, if it should differ from the preset's.

    Returns:
        The provenance stored in the mapper's file; empty in all processes but the first.

    Raises:
        RequestError, ImageError, BundleError: If an argument cannot be used. All arguments are
            checked before the training starts.
    """
    facts, chosen = find_domain(domain), find_preset(domain, preset)
    if steps is not None:
        if steps < 1:
            raise RequestError(f"steps is {steps}; use at least 1.")
        chosen = replace(chosen, iterations=steps)
    bundle = open_bundle(domain, options.out)
    check_bundle(bundle, real=images is not None)  # before a large folder is read
    check_writable(bundle)
    real_images: Images | None = None
    if images is not None:
        real_images = open_images(images, facts)
    elif facts.has_truth and any((options.work / "renders").glob("*.images.npy")):
        real_images = open_pool(options.work / "renders").first(REAL_IMAGES)
    state = train_alignment(bundle, chosen, options, real_images, RUN_NAME)
    command = f"python -m tmsa_core train {domain} --preset {preset}"
    return export_alignment(state, bundle, command)
