"""Load an editor: find the weights, the device and the precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tmsa_core.align.aligner import Aligner
from tmsa_core.align.landmarks import FaceFinder
from tmsa_core.availability import align_roles, needed_roles
from tmsa_core.bundles import Bundle, complete, open_bundle
from tmsa_core.devices import find_device, report_out_of_memory
from tmsa_core.domains import OPTIONAL_ROLES, Domain, find_domain
from tmsa_core.editing.editor import Editor
from tmsa_core.editing.models import Models, Wrapper
from tmsa_core.editing.named_mapper import find_mapper, use_mapper
from tmsa_core.errors import RequestError, quoted
from tmsa_core.progress import Progress, no_progress

DTYPES = {
    "auto": torch.float32,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@report_out_of_memory
def load_editor(
    domain: str = "avatar",
    device: str = "auto",
    dtype: str | torch.dtype = "auto",
    folder: str | Path | None = None,
    progress: Progress = no_progress,
    on_gpu: Wrapper | None = None,
    samples_only: bool = False,
    mapper: str | Path | None = None,
) -> Editor:
    """Load a domain's networks; missing files are downloaded from the Hub first.

    Without a mapping network (none is published for photos) images can be inverted and sampled,
    and an edit raises BundleError with the command that makes one. A damaged mapping network,
    HFGI or identity network is reported and left out.

    Args:
        domain: Key of the domain, such as "avatar".
        device: "cpu", "cuda", "mps", or "auto" for the best one available.
        dtype: A torch dtype or its name; "auto" is float32.
        folder: Folder of the bundle, by default that of the domain.
        progress: Receives the bytes of downloads, and a message about each damaged file that the
            editor does without.
        on_gpu: Wraps the functions that run networks, see ``Models``.
        samples_only: Load the generator only: the editor then generates samples and nothing else.
        mapper: A mapping network in place of the domain's own: "USER/NAME" or
            "USER/NAME@REVISION" on the Hub, a folder, or a file. Recipes state the choice.

    Raises:
        BundleError: A file is damaged, or missing and not available; the mapper that was named
            belongs to other networks.
        RequestError: The domain, device, dtype or another argument is invalid.
        MemoryFullError: The device has too little memory.
    """
    facts = find_domain(domain)
    device = find_device(device)
    network_dtype = _find_dtype(dtype)
    for name, function in (("progress", progress), ("on_gpu", on_gpu or no_progress)):
        if not callable(function):
            raise RequestError(f"{name} is {quoted(function)}; give a function.")
    bundle = open_bundle(domain, folder)
    named = find_mapper(mapper, bundle, progress) if mapper else None
    needed = ("generator",) if samples_only else needed_roles(facts, bundle)
    complete(bundle, needed, progress, thorough=True)
    if named and not samples_only:
        bundle = use_mapper(bundle, named)
    bundle, damage = bundle.without_damaged(OPTIONAL_ROLES)
    for sentence in damage:
        progress(0, 0, sentence)
    generator: Any = bundle.load("generator", device, network_dtype)
    facts = replace(facts, resolution=generator.resolution, levels=generator.levels)
    encoder: Any = None
    mapping: Any = None
    finder: FaceFinder | None = None
    if not samples_only:
        encoder = bundle.load("e4e", device, network_dtype)
        mapping = bundle.load("mapper", device) if bundle.has("mapper") else None
        finder = load_finder(facts, bundle)
    models = Models(bundle, generator, encoder, mapping, device, on_gpu)
    encoder_side = facts.resolution if encoder is None else encoder.input_size
    return Editor(facts, models, Aligner(facts, finder, encoder_side))


def _find_dtype(dtype: str | torch.dtype) -> torch.dtype:
    if isinstance(dtype, torch.dtype) and dtype in (*DTYPES.values(), torch.float64):
        return dtype
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise RequestError(f"dtype is {quoted(dtype)}; use one of {', '.join(DTYPES)}.")
    return DTYPES[dtype]


def load_aligner(
    domain: str = "avatar", folder: str | Path | None = None, progress: Progress = no_progress
) -> Aligner:
    """Load what aligning images of a domain needs; missing files of it are downloaded first.

    Args:
        domain: Key of the domain.
        folder: Folder of the bundle, by default that of the domain.
        progress: Receives the bytes of downloads.

    Returns:
        The aligner. There is no encoder, so its ``encoder_input`` has the size of the crop.

    Raises:
        RequestError: The domain is unknown.
        BundleError: A file is missing or damaged.
    """
    facts = find_domain(domain)
    bundle = open_bundle(domain, folder)
    complete(bundle, align_roles(facts, bundle), progress, thorough=True)
    return Aligner(facts, load_finder(facts, bundle), facts.resolution)


def load_finder(domain: Domain, bundle: Bundle) -> FaceFinder | None:
    """Load the face finder of a domain; None for a domain without faces."""
    if not domain.is_face:
        return None
    detector = bundle.checked_path("detector") if "detector" in bundle.files else None
    return FaceFinder(detector, bundle.checked_path("landmarks"))
