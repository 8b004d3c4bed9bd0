"""The domains that can be used on this machine, and the files that others lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tmsa_core.bundles import Bundle, missing_downloads, open_bundle
from tmsa_core.domains import DOMAINS, FACE_ROLES, INVERSIONS, MAPPER, ROLES, Domain, find_domain
from tmsa_core.errors import BundleError
from tmsa_core.weights.download import Download


@dataclass(frozen=True)
class DomainStatus:
    """What a domain can do on this machine, and what it lacks.

    Attributes:
        key: Key of the domain.
        title: Its title.
        available: Whether the files to invert images and generate samples are on this machine.
        reason: Why ``available`` or ``can_edit`` is false, and the command that helps.
        can_edit: Whether the mapping network is on this machine too.
        notice: The conditions of the weights' licences.
        missing: The files that would be downloaded.
        set_aside: Sentences on files that are present but not used.
        mapper_name: Name of a mapping network that was chosen in place of the domain's own.
        own_mapper: Whether the domain's own mapping network is part of the repository.
    """

    key: str
    title: str
    available: bool
    reason: str = ""
    can_edit: bool = False
    notice: str = ""
    missing: tuple[Download, ...] = ()
    set_aside: tuple[str, ...] = ()
    mapper_name: str = ""
    own_mapper: bool = False


def list_domains() -> list[DomainStatus]:
    """The status of every domain; loads no weights."""
    return [_status(domain) for domain in DOMAINS.values()]


def domain_status(key: str, bundle: Bundle | None = None) -> DomainStatus:
    """The status of one domain; loads no weights.

    Args:
        key: Its key.
        bundle: Its bundle, if not the usual one: it may have a mapping network of another name.

    Raises:
        RequestError: There is no such domain.
    """
    return _status(find_domain(key), bundle)


def align_roles(domain: Domain, bundle: Bundle) -> tuple[str, ...]:
    """The roles that aligning an image needs: none if it is only resized."""
    if not domain.is_face:
        return ()
    return tuple(role for role in FACE_ROLES if role in bundle.files)


def needed_roles(domain: Domain, bundle: Bundle) -> tuple[str, ...]:
    """The roles that inverting an image needs; the mapping network is not among them."""
    return ROLES + align_roles(domain, bundle)


def inversions_here(bundle: Bundle) -> tuple[str, ...]:
    """The inversions whose weights are on this machine."""
    return tuple(name for name in INVERSIONS if bundle.has(name))


def first_inversion(bundle: Bundle) -> str:
    """The inversion that a page starts with: the domain's own, or e4e if that is missing."""
    own = find_domain(bundle.domain).inversion
    return own if bundle.has(own) else "e4e"


def _status(domain: Domain, bundle: Bundle | None = None) -> DomainStatus:
    try:
        bundle = bundle or open_bundle(domain.key)
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
        mapper_name=bundle.mapper_name,
        own_mapper=_is_committed(bundle),
    )


def _is_committed(bundle: Bundle) -> bool:
    entry = bundle.files.get(MAPPER)
    return entry is not None and entry.sha256 is not None and not bundle.mapper_name


def _to_download(domain: str, missing: Sequence[Download]) -> str:
    files = ", ".join(f"{d.name} ({size_words(d.bytes)})" for d in missing)
    return f"To be downloaded once with `python -m tmsa_core download {domain}`: {files}."


def size_words(count: int | None) -> str:
    """A number of bytes in words; None is a size that only the Hub knows."""
    if count is None:
        return "size as the Hub states"
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
