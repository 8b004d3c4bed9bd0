"""What the editor knows about each world of pictures, apart from its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tmsa_core.bundles import Bundle, open_bundle
from tmsa_core.download import Download
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.quoting import quoted
from tmsa_core.supply import missing_downloads


@dataclass(frozen=True)
class Domain:
    """Facts of a domain.

    resolution: side R of a crop; levels: rows L of W+; alignment: how a photo becomes a crop.
    examples: (neutral, target) texts that work well. content: height of the part of a crop that
    holds the picture, as a share of its side; above and below it is black. inversion: what a page
    starts with; HFGI, which keeps more of a picture, where its second pass is soon done.
    """

    key: str
    title: str
    resolution: int
    levels: int
    alignment: Literal["face", "resize"]
    neutral_text: str
    examples: tuple[tuple[str, str], ...]
    content: float = 1.0
    inversion: str = "e4e"


FACE_TARGETS = (
    "human face with glasses",
    "human face with sunglasses",
    "human face with a beard",
    "smiling human face",
    "male human face",
    "female human face",
    "face of a kid",
    "human face with a hat",
)


def _faces(key: str, title: str, resolution: int, levels: int, inversion: str = "e4e") -> Domain:
    examples = tuple(("human face", target) for target in FACE_TARGETS)
    return Domain(
        key, title, resolution, levels, "face", "human face", examples, inversion=inversion
    )


DOMAINS: dict[str, Domain] = {
    d.key: d
    for d in (
        _faces("avatar", "Drawn portraits", 128, 12, inversion="hfgi"),
        _faces("ffhq", "Photos of faces", 1024, 18),
        Domain("car", "Cars", 512, 16, "resize", "a car", (("a car", "a sports car"),), 0.75),
        Domain(
            "church", "Churches", 256, 14, "resize", "a church", (("a church", "a gothic church"),)
        ),
    )
}
ROLES = ("generator", "e4e", "clip")  # what every domain needs to bring a picture in
FACE_ROLES = ("detector", "landmarks")  # dlib's built-in detector serves where a bundle has none
MAPPER = "mapper"  # what an edit by text needs beside them
OPTIONAL_ROLES = (MAPPER, "hfgi", "identity")  # without them a domain does less, but it works
INVERSIONS = ("e4e", "hfgi")  # the roles that bring a picture in; hfgi builds on e4e


@dataclass(frozen=True)
class DomainStatus:
    """What a domain can do on this machine, and what it lacks.

    available: all files are here to invert pictures and draw samples. can_edit: the mapping
    network is here too. reason: why the one or the other is not so, and the command that helps.
    notice: what the licences of the weights ask. missing: what would be downloaded. set_aside:
    sentences on files that are there and not used.
    """

    key: str
    title: str
    available: bool
    reason: str = ""
    can_edit: bool = False
    notice: str = ""
    missing: tuple[Download, ...] = ()
    set_aside: tuple[str, ...] = ()


def find_domain(key: str) -> Domain:
    """The domain of a key; a RequestError lists the keys there are."""
    if not isinstance(key, str) or key not in DOMAINS:
        raise RequestError(f"There is no domain {quoted(key)}; use one of {', '.join(DOMAINS)}.")
    return DOMAINS[key]


def list_domains() -> list[DomainStatus]:
    """Every domain, and whether its bundle is complete on this machine. Loads no weights."""
    return [_status(domain) for domain in DOMAINS.values()]


def align_roles(domain: Domain, bundle: Bundle) -> tuple[str, ...]:
    """The roles that aligning a picture needs: none where that only resizes it."""
    if domain.alignment != "face":
        return ()
    return tuple(role for role in FACE_ROLES if role in bundle.files)


def needed_roles(domain: Domain, bundle: Bundle) -> tuple[str, ...]:
    """The roles without which a domain brings no picture in; the mapper is none of them."""
    return ROLES + align_roles(domain, bundle)


def inversions_here(bundle: Bundle) -> tuple[str, ...]:
    """The inversions whose weights are here."""
    return tuple(name for name in INVERSIONS if bundle.has(name))


def first_inversion(bundle: Bundle) -> str:
    """What a page starts with: the domain's own inversion, or e4e where that one is not here."""
    own = find_domain(bundle.domain).inversion
    return own if bundle.has(own) else "e4e"


def _status(domain: Domain) -> DomainStatus:
    try:
        bundle = open_bundle(domain.key)
    except BundleError as error:
        return DomainStatus(domain.key, domain.title, False, str(error))
    roles = needed_roles(domain, bundle)
    problems = [problem for role in (*roles, MAPPER) if (problem := bundle.problem(role))]
    missing = missing_downloads(bundle, roles)
    return DomainStatus(
        domain.key,
        domain.title,
        available=all(bundle.has(role) for role in roles),
        reason=_to_download(domain.key, missing) if missing else str(*problems[:1]),
        can_edit=not problems,
        notice=bundle.notice,
        missing=missing,
        set_aside=tuple(note for role in roles if (note := bundle.set_aside(role))),
    )


def _to_download(domain: str, missing: Sequence[Download]) -> str:
    files = ", ".join(f"{d.name} ({size_words(d.bytes)})" for d in missing)
    return f"To be downloaded once with `python -m tmsa_core download {domain}`: {files}."


def size_words(count: int | None) -> str:
    """A number of bytes for a reader; None where the Hub says it only when asked."""
    if count is None:
        return "size as the Hub states"
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
