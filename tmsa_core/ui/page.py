"""The web page: ``build_ui`` lays it out and connects it, and starts nothing."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from tmsa_core.api.endpoints import Endpoints, add_endpoints
from tmsa_core.api.lenient_blocks import MISFITS, LenientBlocks, refuse_call
from tmsa_core.editing.editor import Editor
from tmsa_core.errors import TmsaError
from tmsa_core.server.cleaner import cleaning
from tmsa_core.server.editors import Editors, device_words, first_editor
from tmsa_core.server.file_leases import Leases
from tmsa_core.server.hosts import HostGuard
from tmsa_core.server.jobs import SetupJobs
from tmsa_core.server.limits import LimitsMiddleware
from tmsa_core.server.samples import Samples
from tmsa_core.server.settings import Settings
from tmsa_core.server.streams import Streams
from tmsa_core.server.uploads import file_routes
from tmsa_core.ui.about import CONSENT, licences
from tmsa_core.ui.batch_tab import BatchHandlers, lay_out_batch
from tmsa_core.ui.domain_panel import connect_domain_panel, domain_choices, lay_out_domain_panel
from tmsa_core.ui.edit_actions import EditActions
from tmsa_core.ui.edit_events import connect_edit
from tmsa_core.ui.edit_layout import lay_out_edit
from tmsa_core.ui.explore_actions import Explore
from tmsa_core.ui.explore_layout import lay_out_explore
from tmsa_core.ui.strings import CLIENT_EXAMPLE, FOOTNOTE, HEADING, SCRIPTS_WORDS, TITLE
from tmsa_core.ui.theme import CSS, theme

EXAMPLES = (
    ("Python, gradio_client", "edit_with_gradio_client.py", "python"),
    ("Shell, curl", "edit_with_curl.sh", "shell"),
    ("JavaScript, fetch", "edit_with_javascript.mjs", "javascript"),
)
MAX_QUEUE = 64  # visitors in the queue
MAX_UPLOAD = "100mb"  # a ZIP; ui_files limits a single image


def build_ui(editor: Editor, allow_setup: bool = False) -> gr.Blocks:
    """The page and its endpoints for one editor, ready for ``launch(**launch_options())``.

    Args:
        editor: Of the domain that the page starts with.
        allow_setup: Whether visitors may start downloads and quick alignments.

    Returns:
        The page, not yet served.
    """
    editors, leases = Editors(editor), Leases()
    samples = Samples(editor, leases)
    batches, explore = BatchHandlers(editors, leases), Explore(editors, samples, leases)
    with LenientBlocks(leases, title=TITLE, analytics_enabled=False) as blocks:
        with gr.Row(equal_height=False, elem_id="top"):
            gr.Markdown(HEADING, elem_id="heading")
            domain = _lay_out_domains(editor)
        worlds = lay_out_domain_panel()
        with gr.Tabs():
            with gr.Tab("Edit", id="edit"):
                files = [samples.file(name) for name in samples.names]
                page = lay_out_edit(editor, files, leases.leave)
            with gr.Tab("Explore", id="explore"):
                lay_out_explore(explore, page, domain)
            with gr.Tab("Batch", id="batch"):
                lay_out_batch(batches, domain, editor.domain.examples[0])
            with gr.Tab("Scripts", id="scripts"):
                lay_out_scripts()
            with gr.Tab("Consent and licences", id="about"):
                gr.Markdown(CONSENT, elem_classes="lead")
                gr.Markdown(licences(), elem_classes="lead")
        gr.Markdown(FOOTNOTE, elem_id="footnote")
        connect_edit(blocks, page, EditActions(editors, samples, leases), domain)
        connect_domain_panel(blocks, worlds, domain, SetupJobs(), editors, allow_setup)
        add_endpoints(Endpoints(editors, leases))
        blocks.unload(_leaving(blocks, batches, explore))
    for part in blocks.blocks.values():  # or Gradio writes files where nobody deletes them
        part.GRADIO_CACHE = str(leases.folder)
    # Closed to direct calls: what runs networks is to wait its turn, whoever asks for it.
    blocks.queue(max_size=MAX_QUEUE, default_concurrency_limit=1, api_open=False)
    return blocks


def launch_options(allowed_hosts: Sequence[str] = ()) -> dict[str, Any]:
    """Settings of ``Blocks.launch``: private, no telemetry, no history of visitors' runs.

    Args:
        allowed_hosts: Names that the page answers to beside those of this machine.

    Returns:
        The arguments.
    """
    return {
        "theme": theme(),
        "css": CSS,
        "max_file_size": MAX_UPLOAD,
        "run_history": False,
        "enable_monitoring": False,
        "show_error": True,  # or a script is told nothing of what Gradio itself finds wrong
        "footer_links": ["api"],
        "state_session_capacity": 200,  # each takes 0.3 MB and what the visitor edits
        "ssr_mode": False,
        "app_kwargs": {
            "exception_handlers": dict.fromkeys(MISFITS, refuse_call),
            "lifespan": cleaning,
            "middleware": [
                Middleware(HostGuard, allowed_hosts=tuple(allowed_hosts)),
                Middleware(LimitsMiddleware),
                Middleware(Streams),
            ],
            "routes": file_routes(),
        },
        "mcp_server": find_spec("mcp") is not None,
    }


def _lay_out_domains(editor: Editor) -> gr.Dropdown:
    return gr.Dropdown(
        domain_choices(),
        value=editor.domain.key,
        label="World",
        info=f"Runs on {device_words(editor.device)}",
        min_width=220,
        scale=0,
        elem_id="domain",
    )


def lay_out_scripts() -> None:
    """Examples for scripts, the very files that the tests run."""
    gr.Markdown(SCRIPTS_WORDS, elem_classes="lead")
    folder = Path(__file__).parent.parent.parent / "docs" / "examples"
    for title, name, language in EXAMPLES:
        if (folder / name).is_file():  # not part of an installed package
            gr.Code((folder / name).read_text(), language=language, label=title, interactive=False)
    gr.Code(CLIENT_EXAMPLE, language="python", label="Python, typed", interactive=False)


def _leaving(blocks: LenientBlocks, batches: BatchHandlers, explore: Explore) -> Any:
    async def leave(request: gr.Request) -> None:
        owner = request.session_hash or ""
        if not blocks._queue.is_heard(owner):
            await blocks._queue.clean_events(session_hash=owner)
        batches.cancel(owner)  # nobody is left to fetch what they make
        explore.cancel(owner)
        blocks.leases.leave(owner)

    return leave


def serve(settings: Settings) -> None:
    """Show the page until the program is stopped.

    Args:
        settings: What the operator has chosen.

    Raises:
        TmsaError: The page cannot be shown, such as for a damaged bundle.
    """
    editor = first_editor(settings.domain)
    page = build_ui(editor, settings.allow_setup)
    # A normal end deletes visitors' files; without this, the signal ends the process at once.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    page.launch(
        server_name=f"[{settings.host}]" if ":" in settings.host else settings.host,
        server_port=settings.port,
        share=settings.share,
        prevent_thread_lock=True,
        **launch_options(settings.allowed_hosts),
    )
    try:
        editor.warm_up()
    except TmsaError as error:  # what needs that file says so again; the rest works
        print(error, file=sys.stderr)
    page.block_thread()
