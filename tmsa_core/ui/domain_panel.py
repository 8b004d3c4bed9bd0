"""Panel for an incomplete domain: what it lacks, and the buttons that set it up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from tmsa_core.availability import DomainStatus, domain_status, list_domains, size_words
from tmsa_core.errors import RequestError
from tmsa_core.server.editors import Editors
from tmsa_core.server.events import HIDDEN, show_errors
from tmsa_core.server.jobs import Job, SetupJobs, align_work, download_work
from tmsa_core.server.messages import plain_markdown

POLL_SECONDS = 1.0  # between two updates while a setup job runs


def domain_choices() -> list[tuple[str, str]]:
    """Return (title, key) of every domain; the title says if the domain cannot be used yet."""
    choices = []
    for status in list_domains():
        missing = "download" if status.missing else "setup"
        note = "" if status.can_edit else f" (needs a {missing})"
        choices.append((status.title + note, status.key))
    return choices


def check_setup(status: DomainStatus, allowed: bool) -> None:
    """Raise RequestError unless the operator allows setup and the domain is incomplete."""
    if not allowed:
        raise RequestError(
            "Domains cannot be set up from this page: whoever runs it can start it with "
            "--allow-setup."
        )
    if status.can_edit:
        raise RequestError(f"“{status.title}” is complete: there is nothing to set up.")


def status_markdown(status: DomainStatus, job: Job | None) -> str:
    """Describe an incomplete domain and its current or last job; "" if the domain is complete."""
    if job is not None and job.running:
        return (
            f"**{status.title}: {plain_markdown(job.message)} ({job.share:.0%}).** "
            "You can use the other domains meanwhile."
        )
    if status.can_edit:
        return ""
    lines = [f"**{status.title} cannot be edited here yet.** {plain_markdown(status.reason)}"]
    if job is not None and job.failed:
        lines.append(f"**The last try failed.** {plain_markdown(job.failed)}")
    if status.missing:
        lines.append(
            "\n".join(f"- {d.name}, {size_words(d.bytes)}, {d.licence}" for d in status.missing)
        )
    elif status.available:
        lines.append(
            "Its images can be inverted already. What is missing is the mapping network from "
            "texts to edits; the quick alignment makes a first one from the generator alone."
        )
    if status.notice:
        lines.append(status.notice)
    return "\n\n".join(lines)


@dataclass(frozen=True)
class DomainPanel:
    """Components below the choice of the domain, shown while the domain is incomplete."""

    panel: gr.Group
    status: gr.Markdown
    download: gr.Button
    align: gr.Button
    timer: gr.Timer


def lay_out_domain_panel() -> DomainPanel:
    """Place the components; ``connect_domain_panel`` shows and hides them."""
    with gr.Group(visible=False, elem_id="world") as panel:
        status = gr.Markdown(latex_delimiters=[], elem_id="world-words")
        with gr.Row():
            download = gr.Button("Download it", visible=False, elem_id="world-fetch")
            align = gr.Button("Make a quick alignment", visible=False, elem_id="world-align")
    return DomainPanel(panel, status, download, align, gr.Timer(POLL_SECONDS, active=False))


def connect_domain_panel(
    blocks: gr.Blocks,
    parts: DomainPanel,
    domain: gr.components.Component,
    jobs: SetupJobs,
    editors: Editors,
    allow_setup: bool,
) -> None:
    """Update the panel when the domain or its setup job changes.

    Connect this last: Gradio runs the events of one choice in order, and the texts of a domain
    must appear before a visitor writes their own.

    Args:
        blocks: The page.
        parts: The components of ``lay_out_domain_panel``.
        domain: The choice of the domain.
        jobs: The setup jobs of all visitors.
        editors: The editors of all domains.
        allow_setup: Whether visitors may start downloads and quick alignments.
    """
    outputs = [parts.panel, parts.status, parts.download, parts.align, parts.timer, domain]

    def refresh(key: str) -> tuple[dict[str, Any], ...]:
        status, job = domain_status(key), jobs.job(key)
        running = job is not None and job.running
        offered = allow_setup and not running
        text = status_markdown(status, job)
        return (
            gr.update(visible=bool(text)),
            gr.update(value=text),
            gr.update(visible=offered and bool(status.missing)),
            gr.update(visible=offered and status.available and not status.can_edit),
            gr.update(active=running),
            gr.skip() if running else gr.update(choices=domain_choices()),
        )

    # A script can press hidden buttons, so both actions check the permission again.
    @show_errors
    def start_download(key: str) -> tuple[dict[str, Any], ...]:
        check_setup(domain_status(key), allow_setup)
        jobs.start(key, download_work(key))
        return refresh(key)

    @show_errors
    def start_alignment(key: str) -> tuple[dict[str, Any], ...]:
        check_setup(domain_status(key), allow_setup)
        jobs.start(key, align_work(key, editors))
        return refresh(key)

    options = {"queue": False, "show_progress": "hidden", **HIDDEN}
    blocks.load(refresh, domain, outputs, **options)  # another visitor may have set a domain up
    domain.input(refresh, domain, outputs, **options)
    parts.timer.tick(refresh, domain, outputs, **options)
    parts.download.click(start_download, domain, outputs, **options)
    parts.align.click(start_alignment, domain, outputs, **options)
