"""The command ``app``, which serves the page; the Space's ``app.py`` runs it too."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from tmsa_core.cli.common import MapperName
from tmsa_core.errors import RequestError


def app(
    host: Annotated[
        str,
        typer.Option(
            envvar="GRADIO_SERVER_NAME", help="Address to listen on; 0.0.0.0: all addresses."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            envvar="GRADIO_SERVER_PORT",
            min=1,
            max=65535,
            help="The port. [the first free one from 7860 on]",
        ),
    ] = None,
    domain: Annotated[
        str, typer.Option(envvar="TMSA_DOMAIN", help="The domain that the page starts with.")
    ] = "avatar",
    share: Annotated[
        bool,
        typer.Option("--share", envvar="GRADIO_SHARE", help="Open a public link for a week."),
    ] = False,
    allow_setup: Annotated[
        bool | None,
        typer.Option(
            "--allow-setup/--no-allow-setup",
            help="Let visitors start downloads and quick alignments. [only where the page is "
            "for this machine alone]",
        ),
    ] = None,
    allowed_host: Annotated[
        list[str],
        typer.Option(
            envvar="TMSA_ALLOWED_HOSTS",
            help="Another host name of the page, such as faces.example.org.",
        ),
    ] = (),  # type: ignore[assignment]
    mapper: MapperName = None,
) -> None:
    """Serve the page and the HTTP API until the program stops."""
    if find_spec("gradio") is None:
        raise RequestError("The page needs Gradio: install it by `pip install 'tmsa[app]'`.")
    from tmsa_core.domains import find_domain
    from tmsa_core.server.settings import check_address, make_settings, prepare_environment

    prepare_environment()
    try:
        settings = make_settings(host, port, domain, share, allow_setup, allowed_host, mapper or "")
        find_domain(domain)
        check_address(settings.host, port)
    except RequestError as error:
        raise typer.BadParameter(str(error).rstrip(".")) from error
    from tmsa_core.ui.page import serve

    serve(settings)


COMMANDS: dict[Callable[..., Any], tuple[str, ...]] = {
    app: (
        "app",
        "app --port 8000 --domain ffhq",
        "app --host 0.0.0.0 --allowed-host my.example",
        "app --domain ffhq --mapper USER/NAME",
    )
}
