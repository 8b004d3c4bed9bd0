"""The operator's settings: address, allowed hosts, and whether visitors may set up domains."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tmsa_core.errors import RequestError, quoted

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Proxies of a Space have such addresses. Not "*": then a visitor could choose the address.
PRIVATE_NETWORKS = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1,fc00::/7"
SHARE_HOSTS = ".gradio.live"  # where Gradio's tunnel shows a shared page


@dataclass(frozen=True)
class Settings:
    """How one process serves the page.

    Attributes:
        host: The address to listen at, such as "127.0.0.1" or "0.0.0.0".
        port: The port, or None for the first free one from 7860 on.
        domain: The domain that the page starts with.
        mapper: Name of the domain's mapping network, "" for its own.
        share: Whether to show the page through Gradio's public tunnel.
        allow_setup: Whether visitors may start downloads and quick alignments.
        private: Whether the page can be reached from this machine alone.
        allowed_hosts: Names that the page answers to, besides those of this machine; one with a
            leading dot stands for all its subdomains.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    domain: str = "avatar"
    mapper: str = ""
    share: bool = False
    allow_setup: bool = False
    private: bool = False
    allowed_hosts: tuple[str, ...] = ()


def make_settings(
    host: str,
    port: int | None,
    domain: str,
    share: bool,
    allow_setup: bool | None,
    allowed_hosts: Sequence[str],
    mapper: str = "",
) -> Settings:
    """Make settings from options and from the environment of a Hugging Face Space.

    Args:
        host: The address to listen at.
        port: The port, or None for a free one.
        domain: The domain that the page starts with.
        share: Whether to open a public tunnel.
        allow_setup: The operator's choice, or None for the default: only where the page can be
            reached from this machine alone.
        allowed_hosts: Host names, several in one text separated by commas.
        mapper: Name of the domain's mapping network, "" for its own.

    Returns:
        The settings.

    Raises:
        RequestError: A name among ``allowed_hosts`` is not a host name.
    """
    host = host.strip().strip("[]")
    private = host in LOOPBACK and not share and not os.environ.get("SPACE_ID")
    named = [name for text in allowed_hosts for name in text.split(",")]
    named += os.environ.get("SPACE_HOST", "").split(",")
    named += [host] if host not in ("0.0.0.0", "::") else []
    hosts = [_checked_host(name) for name in named if name.strip()]
    return Settings(
        host,
        port,
        domain,
        mapper,
        share,
        private if allow_setup is None else allow_setup,
        private,
        tuple(dict.fromkeys(hosts + [SHARE_HOSTS] * share)),
    )


def check_address(host: str, port: int | None) -> None:
    """Check that a server can listen at an address.

    Args:
        host: The address to listen at.
        port: The port, or None for any.

    Raises:
        RequestError: It cannot, with the reason.
    """
    try:
        family = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as trial:
            # A port whose last server has just stopped may be taken again, as Gradio does.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port or 0))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        where = f"port {port} of {quoted(host)}" if port else quoted(host)
        raise RequestError(
            f"The page cannot be served at {where} ({reason}): choose another address of this "
            "machine, such as 127.0.0.1, or another port."
        ) from error


def prepare_environment() -> None:
    """Set what Gradio and huggingface_hub read while they are imported; call this before.

    They then send no telemetry, and Gradio opens its own page without a proxy. On a Space all
    requests come through proxies; with this, the limits count the visitors' addresses.
    """
    if os.environ.get("SPACE_ID"):
        os.environ.setdefault("FORWARDED_ALLOW_IPS", PRIVATE_NETWORKS)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost,127.0.0.1"]))


def host_name(address: str) -> str:
    """Return the host of an address or of a Host header, in lower case and without its port.

    Args:
        address: Such as "LocalHost:7860", "[::1]:7860" or "https://example.org".

    Returns:
        The name, or "" where there is none.
    """
    try:
        return urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:  # brackets without an address in them
        return ""


def _checked_host(name: str) -> str:
    name = name.strip()
    bare = name.removeprefix(".")
    found = host_name(f"[{bare}]" if bare.count(":") > 1 and "[" not in bare else bare)
    if not found or "/" in name or "@" in name or "*" in name or any(map(str.isspace, name)):
        raise RequestError(
            f"{quoted(name)} is not a host name: give a name such as faces.example.org, or "
            ".example.org for all its subdomains."
        )
    return "." + found if name.startswith(".") else found
