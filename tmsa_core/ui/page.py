"""The web page: ``build_ui`` lays it out and connects its events, ``serve`` runs it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr

from tmsa_core.api.endpoints import Endpoints, add_endpoints
from tmsa_core.api.lenient_blocks import LenientBlocks
from tmsa_core.bundles import cache_folder
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import TmsaError
from tmsa_core.server import limits
from tmsa_core.server.editors import Editors, device_words
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.first_start import Asked, setup_work, start
from tmsa_core.server.jobs import SetupJobs
from tmsa_core.server.samples import Samples
from tmsa_core.server.settings import Settings
from tmsa_core.ui.about import CONSENT, licences
from tmsa_core.ui.batch_actions import BatchActions
from tmsa_core.ui.batch_tab import connect_batch, lay_out_batch
from tmsa_core.ui.domain_panel import connect_domain_panel, domain_choices, lay_out_domain_panel
from tmsa_core.ui.edit_actions import EditActions
from tmsa_core.ui.edit_events import connect_edit
from tmsa_core.ui.edit_layout import lay_out_edit
from tmsa_core.ui.explore_actions import ExploreContext
from tmsa_core.ui.explore_events import connect_explore
from tmsa_core.ui.explore_layout import lay_out_explore
from tmsa_core.ui.portrait_actions import PortraitActions
from tmsa_core.ui.strings import CLIENT_EXAMPLE, FOOTNOTE, HEADING, SCRIPTS_WORDS, TITLE
from tmsa_core.ui.theme import theme
from tmsa_core.ui.widgets import STATIC

EXAMPLES = (
    ("Python, gradio_client", "edit_with_gradio_client.py", "python"),
    ("Shell, curl", "edit_with_curl.sh", "shell"),
    ("JavaScript, fetch", "edit_with_javascript.mjs", "javascript"),
)


def build_ui(
    editor: Editor,
    allow_setup: bool = False,
    asked: Asked | None = None,
    allow_paths: bool = False,
) -> gr.Blocks:
    """Build the page and its endpoints, ready for ``launch(**launch_options())``.

    Args:
        editor: Editor of the domain that the page starts with.
        allow_setup: Whether visitors may start downloads and quick alignments.
        asked: A domain that the operator started the page for; its setup begins now.
        allow_paths: Whether visitors may name mapping networks by folders and files.

    Returns:
        The page, not yet running.
    """
    editors, leases = Editors(editor), Leases()
    jobs = SetupJobs(asked.domain if asked else "")
    samples = Samples(editor, leases)
    portraits = PortraitActions(editors, samples, leases)
    batches = BatchActions(editors, leases)
    explore = ExploreContext(
        editors, leases, cache_folder() / "baselines", {editor.domain.key: samples}
    )
    with LenientBlocks(leases, title=TITLE, analytics_enabled=False) as blocks:
        with gr.Row(equal_height=False, elem_id="top"):
            gr.Markdown(HEADING, elem_id="heading")
            domain = _lay_out_domains(editors)
        panel = lay_out_domain_panel()
        with gr.Tabs():
            with gr.Tab("Edit", id="edit"):
                files = [samples.file(name) for name in samples.names]
                page = lay_out_edit(editor, files, domain, leases.leave)
            with gr.Tab("Explore", id="explore"):
                connect_explore(explore, lay_out_explore(editor.domain), page, domain)
            with gr.Tab("Batch", id="batch"):
                connect_batch(batches, lay_out_batch(editor.domain.examples[0]), domain)
            with gr.Tab("Scripts", id="scripts"):
                lay_out_scripts()
            with gr.Tab("Consent and licences", id="about"):
                gr.Markdown(CONSENT, elem_classes="lead")
                gr.Markdown(licences(), elem_classes="lead")
        gr.Markdown(FOOTNOTE, elem_id="footnote")
        connect_edit(blocks, page, EditActions(portraits), portraits)
        connect_domain_panel(blocks, panel, domain, jobs, editors, allow_setup, allow_paths)
        add_endpoints(Endpoints(editors, leases))
        blocks.unload(_leaving(blocks, batches, explore))
    # Gradio writes files here, where the leases delete them.
    for component in blocks.blocks.values():
        component.GRADIO_CACHE = str(leases.folder)
    # Direct calls are refused, so that every event that runs a network waits in the queue.
    blocks.queue(max_size=limits.QUEUED_CALLS, default_concurrency_limit=1, api_open=False)
    if asked:
        jobs.start(asked.domain, setup_work(asked, editors))
    return blocks


def launch_options(allowed_hosts: Sequence[str] = ()) -> dict[str, Any]:
    """Arguments of ``Blocks.launch``: private, without telemetry or a history of runs.

    Args:
        allowed_hosts: Host names that the page answers to, in addition to this machine's.
    """
    return {
        "theme": theme(),
        "css_paths": [STATIC / "style.css"],
        "max_file_size": limits.FILE_BYTES,
        "run_history": False,
        "enable_monitoring": False,
        "show_error": True,  # otherwise scripts get no message for errors that Gradio finds
        "footer_links": ["api"],
        "state_session_capacity": limits.SESSIONS,
        "ssr_mode": False,
        "allowed_hosts": allowed_hosts,
        "mcp_server": find_spec("mcp") is not None,
    }


def _lay_out_domains(editors: Editors) -> gr.Dropdown:
    return gr.Dropdown(
        domain_choices(editors.statuses()),
        value=editors.first.domain.key,
        label="Domain",
        info=f"Runs on {device_words(editors.device)}",
        min_width=220,
        scale=0,
        elem_id="domain",
    )


def lay_out_scripts() -> None:
    """Show the examples for scripts; the tests run the same files."""
    gr.Markdown(SCRIPTS_WORDS, elem_classes="lead")
    folder = Path(__file__).parent.parent.parent / "docs" / "examples"
    for title, name, language in EXAMPLES:
        if (folder / name).is_file():  # an installed package has no docs folder
            gr.Code((folder / name).read_text(), language=language, label=title, interactive=False)
    gr.Code(CLIENT_EXAMPLE, language="python", label="Python, typed", interactive=False)


def _leaving(blocks: LenientBlocks, batches: BatchActions, explore: ExploreContext) -> Any:
    async def leave(request: gr.Request) -> None:
        owner = request.session_hash or ""
        if not blocks._queue.is_heard(owner):
            await blocks._queue.clean_events(session_hash=owner)
        batches.cancel(owner)  # nobody would receive the result
        explore.comparisons.cancel(owner)
        blocks.leases.leave(owner)

    return leave


def serve(settings: Settings) -> None:
    """Run the page until the program is stopped.

    Args:
        settings: The operator's settings.

    Raises:
        TmsaError: The page cannot be shown, for example because of a damaged bundle.
    """
    editor, asked = start(settings.domain, settings.mapper)
    page = build_ui(editor, settings.allow_setup, asked, settings.private)
    # A flag, because an exception from a signal handler is lost where Python ignores exceptions,
    # for example in a finaliser. After it the program exits normally and deletes visitors' files.
    stop_asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop_asked.set())
    page.launch(
        server_name=f"[{settings.host}]" if ":" in settings.host else settings.host,
        server_port=settings.port,
        share=settings.share,
        prevent_thread_lock=True,
        **launch_options(settings.allowed_hosts),
    )
    threading.Thread(target=_warm_up, args=(editor,)).start()
    try:
        while not stop_asked.wait(0.5):
            pass
    except KeyboardInterrupt:
        print("Stopping.")
    page.close()


def _warm_up(editor: Editor) -> None:
    try:
        editor.warm_up()
    except TmsaError as error:  # actions that need the file report it again; others work
        print(error, file=sys.stderr)
