"""Commands for weights: list domains, download, convert."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tmsa_core.cli.common import progress_bars


def domains() -> None:
    """List the domains, what incomplete ones lack, and where their files belong."""
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
    print(f"Downloads and converted files go to {cache_folder()}")


def download(
    domain: Annotated[str, typer.Argument(help="The domain; see `tmsa domains`.")],
) -> None:
    """Get a domain's weights from the Hugging Face Hub, and check those on this machine.

    Missing, incomplete and damaged files are fetched. Run the command again to resume an
    interrupted download. HF_HUB_OFFLINE and HF_ENDPOINT are respected, and TMSA_CACHE sets the
    folder of the files.
    """
    from tmsa_core.bundles import complete, open_bundle
    from tmsa_core.domains import find_domain

    find_domain(domain)
    bundle = open_bundle(domain)
    roles = [role for role, entry in bundle.files.items() if entry.download or entry.sha256]
    if bundle.notice:
        print(bundle.notice)
    with progress_bars() as progress:
        complete(bundle, roles, progress, thorough=True)
    print(f"{domain}: {len(roles)} files are complete and correct")
    for role, entry in bundle.files.items():
        if role not in roles and (problem := bundle.problem(role)):
            print(f"Note: {problem}" if not entry.optional else f"Optional: {problem}")


def convert(
    kind: Annotated[str, typer.Argument(help="Its layout: stylegan2, e4e, hfgi, sfe or arcface.")],
    file: Annotated[Path, typer.Argument(help="The checkpoint: .pt, .pth or .safetensors.")],
    out_dir: Annotated[Path, typer.Argument(help="Where the .safetensors files go.")],
) -> None:
    """Convert a public checkpoint to safetensors without running any code in it."""
    from tmsa_core.weights import convert as conversion

    with progress_bars() as progress:
        paths = conversion.convert(kind, file, out_dir, progress)
    for path in paths:
        print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")


COMMANDS: dict[Callable[..., Any], tuple[str, ...]] = {
    domains: ("domains",),
    download: ("download ffhq", "download church"),
    convert: (
        "convert e4e e4e_ffhq_encode.pt checkpoints/ffhq",
        "convert hfgi ckpt.pt checkpoints/ffhq",
        "convert sfe sfe_editor_light.pt checkpoints/ffhq",
    ),
}
