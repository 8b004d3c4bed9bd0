"""Keeps the libraries below the page from contacting anybody whom no visitor named."""

from __future__ import annotations

import safehttpx


async def _no_addresses(hostname: str) -> list[str]:
    return []


def keep_lookups_local() -> None:
    """Resolve host names by this machine's own resolver only.

    Where that gives no public address, the library with which Gradio fetches images would ask a
    public DNS service, and so tell it what a visitor wrote.
    """
    safehttpx.async_resolve_hostname_google = _no_addresses
