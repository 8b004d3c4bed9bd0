"""What `tmsa train` runs to make a mapper: the avatar bundle's stage, and any domain's training."""

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
from tmsa_core.training.mapper.presets import REAL_IMAGES, STATE, find_preset
from tmsa_core.training.run import Options


def train_domain(
    domain: str,
    options: Options,
    preset: str = "fast",
    images: Path | None = None,
    steps: int | None = None,
) -> dict[str, object]:
    """Train a mapper for a domain and put it into its bundle; what its file says of itself.

    images: folder of aligned crops for losses (1) and (4); without it avatars take the drawn pool,
    if there is one, and other domains learn from synthetic images alone. steps: another number
    of iterations than the preset's. Of several processes the first alone returns what the file
    says. Raises RequestError, ImageError or BundleError for what is wrong with any of them before
    any long work.
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
    state = train_alignment(bundle, chosen, options, real_images, STATE)
    command = f"python -m tmsa_core train {domain} --preset {preset}"
    return export_alignment(state, bundle, command)
