"""Commands for weights: list domains, download, convert."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tmsa_core.cli.common import download_bar


def domains() -> None:
    """List the worlds of images, what those that cannot be used lack, and where files belong."""
    from tmsa_core.availability import list_domains, size_words
    from tmsa_core.bundles import cache_folder, checkpoints_folder

    for status in list_domains():
        state = "ready" if status.can_edit else f"no edits by text: {status.reason}"
        if not status.available:
            state = f"not available: {status.reason}"
        print(f"{status.key:<8} {status.title:<18} {state}")
        for download in status.missing:
            size = size_words(download.bytes)
            print(f"{'':<8} to download: {download.name}, {size}, {download.licence}")
        for sentence in status.set_aside:
            print(f"{'':<8} {sentence}")
        if status.notice:
            print(f"{'':<8} {status.notice}")
        print(f"{'':<8} files belong in {checkpoints_folder() / status.key}")
    print(f"Downloads, and what is made of them, go to {cache_folder()}")


def download(
    domain: Annotated[str, typer.Argument(help="The domain; see `tmsa domains`.")],
) -> None:
    """Get a domain's weights from the Hugging Face Hub, and check those that are here.

    Whatever is missing, incomplete or damaged is fetched; a broken download goes on where it
    stopped when the command is given again. HF_HUB_OFFLINE and HF_ENDPOINT are respected, and
    TMSA_CACHE says where files go.
    """
    from tmsa_core.bundles import complete, open_bundle
    from tmsa_core.domains import find_domain

    find_domain(domain)
    bundle = open_bundle(domain)
    roles = [role for role, entry in bundle.files.items() if entry.download or entry.sha256]
    if bundle.notice:
        print(bundle.notice)
    with download_bar() as progress:
        complete(bundle, roles, progress, thorough=True)
    print(f"{domain}: {len(roles)} files are complete and as they should be")
    for role, entry in bundle.files.items():
        if role not in roles and (problem := bundle.problem(role)):
            print(f"Note: {problem}" if not entry.optional else f"Optional: {problem}")


def convert(
    kind: Annotated[str, typer.Argument(help="Its layout: stylegan2, e4e, hfgi or arcface.")],
    file: Annotated[Path, typer.Argument(help="The checkpoint: .pt, .pth or .safetensors.")],
    out_dir: Annotated[Path, typer.Argument(help="Where the .safetensors files go.")],
) -> None:
    """Turn a public checkpoint into safetensors; nothing in it is run."""
    from tmsa_core.weights import convert as conversion

    before = conversion.peak_memory()
    for path in conversion.convert(kind, file, out_dir, progress=sys.stderr.isatty()):
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
    peak = conversion.peak_memory()
    print(f"peak memory {peak / 1e6:.0f} MB, {before / 1e6:.0f} MB of it before the file was read")


COMMANDS: dict[Callable[..., Any], tuple[str, ...]] = {
    domains: ("domains",),
    download: (
        "download ffhq",
        "download church",
    ),
    convert: (
        "convert e4e e4e_ffhq_encode.pt checkpoints/ffhq",
        "convert hfgi ckpt.pt checkpoints/ffhq",
    ),
}
"""Each command with the examples that its help shows."""
