"""Load an editor: find the weights, the device and the precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from tmsa_core.align.aligner import Aligner
from tmsa_core.align.landmarks import FaceFinder
from tmsa_core.availability import align_roles, needed_roles
from tmsa_core.bundles import Bundle, complete, open_bundle
from tmsa_core.devices import find_device, report_out_of_memory
from tmsa_core.domains import OPTIONAL_ROLES, Domain, find_domain
from tmsa_core.editing.editor import Editor, Wrapper
from tmsa_core.errors import RequestError, quoted
from tmsa_core.progress import Progress, no_progress


@report_out_of_memory
def load_editor(
    domain: str = "avatar",
    device: str = "auto",
    dtype: str | torch.dtype = "auto",
    folder: str | Path | None = None,
    progress: Progress = no_progress,
    on_gpu: Wrapper | None = None,
    samples_only: bool = False,
) -> Editor:
    """Load a domain's networks, after downloading those that come from the Hub, once.

    Without a mapper, which nobody publishes for photos, images can be inverted and sampled, and
    an edit raises BundleError with the command that makes one. Where the mapper, HFGI or the
    identity network is damaged, the editor does without.

    Args:
        domain: Key of the domain, such as "avatar".
        device: "cpu", "cuda", "mps", or "auto", which takes the best there is.
        dtype: A torch dtype or its name; "auto" is float32.
        folder: The bundle's folder, if not the usual one.
        progress: Receives the bytes of downloads, and a message about each damaged file that the
            editor does without.
        on_gpu: See ``Editor``.
        samples_only: Load the generator alone: the editor then only draws samples.

    Returns:
        The editor.

    Raises:
        BundleError: Where a file is damaged or cannot be had.
        RequestError: For an unknown domain, device or dtype, and for a value of another kind.
        MemoryFullError: Where the device is too small.
    """
    facts = find_domain(domain)
    device = find_device(device)
    number = _find_dtype(dtype)
    for name, function in (("progress", progress), ("on_gpu", on_gpu or no_progress)):
        if not callable(function):
            raise RequestError(f"{name} is {quoted(function)}; give a function.")
    bundle = open_bundle(domain, folder)
    needed = ("generator",) if samples_only else needed_roles(facts, bundle)
    complete(bundle, needed, progress, thorough=True)
    bundle, damage = bundle.without_damaged(OPTIONAL_ROLES)
    for sentence in damage:
        progress(0, 0, sentence)
    generator = bundle.load("generator", device, number)
    facts = replace(facts, resolution=generator.resolution, levels=generator.levels)
    encoder = None if samples_only else bundle.load("e4e", device, number)
    return Editor(
        facts,
        bundle,
        generator=generator,
        encoder=encoder,
        mapper=bundle.load("mapper", device) if encoder and bundle.has("mapper") else None,
        aligner=Aligner(
            facts,
            None if encoder is None else load_finder(facts, bundle),
            facts.resolution if encoder is None else encoder.input_size,
        ),
        device=device,
        on_gpu=on_gpu,
    )


def _find_dtype(dtype: str | torch.dtype) -> torch.dtype:
    names = {
        "auto": torch.float32,
        "float32": torch.float32,
        "float16": torch.float16,
        "bfloat16": torch.bfloat16,
    }
    if isinstance(dtype, torch.dtype) and dtype in (*names.values(), torch.float64):
        return dtype
    if not isinstance(dtype, str) or dtype not in names:
        raise RequestError(f"dtype is {quoted(dtype)}; use one of {', '.join(names)}.")
    return names[dtype]


def load_aligner(
    domain: str = "avatar", folder: str | Path | None = None, progress: Progress = no_progress
) -> Aligner:
    """What aligns images of a domain, after downloading what is missing of that alone.

    Args:
        domain: Key of the domain.
        folder: The bundle's folder, if not the usual one.
        progress: Receives the bytes of downloads.

    Returns:
        The aligner; its images are ``seen`` at the crop's own size, as there is no encoder.

    Raises:
        RequestError: For an unknown domain.
        BundleError: Where the file that places a face's points is missing or damaged.
    """
    facts = find_domain(domain)
    bundle = open_bundle(domain, folder)
    complete(bundle, align_roles(facts, bundle), progress, thorough=True)
    return Aligner(facts, load_finder(facts, bundle), facts.resolution)


def load_finder(domain: Domain, bundle: Bundle) -> FaceFinder | None:
    """What finds faces in images of a domain; None where there is nothing to find."""
    if domain.alignment != "face":
        return None
    detector = bundle.checked_path("detector") if "detector" in bundle.files else None
    return FaceFinder(detector, bundle.checked_path("landmarks"))
