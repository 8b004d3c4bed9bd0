"""Panel for an incomplete domain: what it lacks, and the buttons that set it up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from tmsa_core.availability import DomainStatus, size_words
from tmsa_core.errors import RequestError
from tmsa_core.server.editors import Editors
from tmsa_core.server.events import HIDDEN, show_errors
from tmsa_core.server.first_start import Asked, setup_work
from tmsa_core.server.jobs import Job, SetupJobs, align_work, download_work
from tmsa_core.server.messages import plain_markdown
from tmsa_core.weights.hub_mapper import parse_name

MAPPER_LETTERS = 300  # of the name of a mapping network
POLL_SECONDS = 1.0  # between two updates while a setup job runs


def domain_choices(statuses: Iterable[DomainStatus]) -> list[tuple[str, str]]:
    """Return (title, key) of every domain; the title says if the domain cannot be used yet."""
    choices = []
    for status in statuses:
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


def check_mapper_name(status: DomainStatus, name: str, allowed: bool, paths: bool) -> None:
    """Raise RequestError unless a visitor may choose this mapping network for a domain.

    Args:
        status: The domain's.
        name: What the visitor wrote.
        allowed: Whether the operator allows setup.
        paths: Whether folders and files of this machine may be named.
    """
    check_setup(replace(status, can_edit=False), allowed)
    if status.own_mapper:
        raise RequestError(
            f"“{status.title}” has its own mapping network: whoever runs this page can choose "
            "another with --mapper."
        )
    if name and not paths and parse_name(name) is None:
        raise RequestError(
            "Name a mapping network as USER/NAME on the Hub: folders and files can be named only "
            "by whoever runs this page, with --mapper."
        )


def job_words(title: str, job: Job) -> str:
    """One line on a running job: what it does and how far it is."""
    return f"**{title}: {plain_markdown(job.message)} ({job.share:.0%}).**"


def asked_markdown(status: DomainStatus, job: Job | None) -> str:
    """For visitors of other domains: on the domain that the operator started the page for."""
    if job is None:
        return ""
    if job.running:
        return job_words(status.title, job)
    if job.failed:
        return f"**{status.title} could not be set up.** {plain_markdown(job.failed)}"
    return f"**{status.title}: ready.** Choose it as the domain to edit your own."


def status_markdown(status: DomainStatus, job: Job | None) -> str:
    """Describe an incomplete domain and its current or last job; "" if the domain is complete."""
    if job is not None and job.running:
        return f"{job_words(status.title, job)} You can use the other domains meanwhile."
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
    mapper: gr.Textbox
    timer: gr.Timer


def lay_out_domain_panel() -> DomainPanel:
    """Place the components; ``connect_domain_panel`` shows and hides them."""
    with gr.Group(visible=False, elem_id="world") as panel:
        status = gr.Markdown(latex_delimiters=[], elem_id="world-words")
        with gr.Row():
            download = gr.Button("Download it", visible=False, elem_id="world-fetch")
            align = gr.Button("Make a quick alignment", visible=False, elem_id="world-align")
        mapper = gr.Textbox(
            label="Mapping network",
            info="One that was published on the Hub; press Enter. Empty: the domain's own.",
            placeholder="USER/NAME",
            max_length=MAPPER_LETTERS,
            visible=False,
            elem_id="world-mapper",
        )
    return DomainPanel(panel, status, download, align, mapper, gr.Timer(POLL_SECONDS, active=False))


def connect_domain_panel(
    blocks: gr.Blocks,
    parts: DomainPanel,
    domain: gr.components.Component,
    jobs: SetupJobs,
    editors: Editors,
    allow_setup: bool,
    allow_paths: bool = False,
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
        allow_paths: Whether they may name mapping networks by folders and files of this machine.
    """
    outputs = [parts.panel, parts.status, parts.download, parts.align, parts.mapper, parts.timer,
               domain]  # fmt: skip

    def refresh(key: str) -> tuple[dict[str, Any], ...]:
        status, job = editors.status(key), jobs.job(key)
        running, text = job is not None and job.running, status_markdown(status, job)
        busy = running
        if jobs.asked and jobs.asked != key:
            other = jobs.job(jobs.asked)
            busy = running or (other is not None and other.running)
            text = f"{text}\n\n{asked_markdown(editors.status(jobs.asked), other)}".strip()
        offered = allow_setup and not running
        named = offered and not status.own_mapper
        return (
            gr.update(visible=bool(text) or named),
            gr.update(value=text),
            gr.update(visible=offered and bool(status.missing)),
            gr.update(visible=offered and status.available and not status.can_edit),
            gr.update(visible=named, placeholder=status.mapper_name or "USER/NAME"),
            gr.update(active=busy),
            gr.skip() if running else gr.update(choices=domain_choices(editors.statuses())),
        )

    # A script can press hidden buttons, so all actions check the permission again.
    @show_errors
    def start_download(key: str) -> tuple[dict[str, Any], ...]:
        check_setup(editors.status(key), allow_setup)
        jobs.start(key, download_work(key))
        return refresh(key)

    @show_errors
    def start_alignment(key: str) -> tuple[dict[str, Any], ...]:
        check_setup(editors.status(key), allow_setup)
        jobs.start(key, align_work(key, editors))
        return refresh(key)

    @show_errors
    def choose_mapper(key: str, name: str) -> tuple[dict[str, Any], ...]:
        name = (name or "").strip()
        check_mapper_name(editors.status(key), name, allow_setup, allow_paths)
        if name:
            jobs.start(key, setup_work(Asked(key, name), editors))
        else:
            editors.forget(key)
        return refresh(key)

    options = {"queue": False, "show_progress": "hidden", **HIDDEN}
    blocks.load(refresh, domain, outputs, **options)  # another visitor may have set a domain up
    domain.input(refresh, domain, outputs, **options)
    parts.timer.tick(refresh, domain, outputs, **options)
    parts.download.click(start_download, domain, outputs, **options)
    parts.align.click(start_alignment, domain, outputs, **options)
    named = [domain, parts.mapper]
    parts.mapper.submit(choose_mapper, named, outputs, **{**options, "queue": True})
