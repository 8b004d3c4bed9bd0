"""Worlds that are not here yet: what they lack, and getting it while the page stays usable."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from tmsa_core.availability import DomainStatus, list_domains, size_words
from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError
from tmsa_core.server.editors import Editors
from tmsa_core.server.events import HIDDEN, show_errors
from tmsa_core.server.jobs import Job, SetupJobs, align_work, download_work
from tmsa_core.server.messages import plain_markdown

EVERY = 1.0  # seconds between two looks at work under way


def domain_choices() -> list[tuple[str, str]]:
    """(title, key) of every domain; the title says where one cannot be used yet."""
    return [(d.title if d.can_edit else f"{d.title} (not here yet)", d.key) for d in list_domains()]


def find_status(domain: str) -> DomainStatus:
    """A domain as it stands now; RequestError where there is no such domain."""
    find_domain(domain)
    return next(status for status in list_domains() if status.key == domain)


def check_setup(status: DomainStatus, allowed: bool) -> None:
    """Make sure that a domain may be set up from the page.

    Args:
        status: The domain as it stands.
        allowed: Whether the operator has switched such actions on.

    Raises:
        RequestError: They are off, or the domain is complete.
    """
    if not allowed:
        raise RequestError(
            "Domains cannot be set up from this page: whoever runs it can start it with "
            "--allow-setup."
        )
    if status.can_edit:
        raise RequestError(f"“{status.title}” is complete: there is nothing to set up.")


def domain_words(status: DomainStatus, job: Job | None) -> str:
    """What a domain lacks and what is being done about it, in Markdown; "" where all is here."""
    if job is not None and job.busy:
        return (
            f"**{status.title}: {plain_markdown(job.words)} ({job.share:.0%}).** "
            "The other worlds can be used meanwhile."
        )
    if status.can_edit:
        return ""
    lines = [f"**{status.title} cannot be edited here yet.** {plain_markdown(status.reason)}"]
    if job is not None and job.failed:
        lines.append(f"**The last try failed.** {plain_markdown(job.failed)}")
    files = [f"{d.name}, {size_words(d.bytes)}, {d.licence}" for d in status.missing]
    if files:
        lines.append("\n".join(f"- {file}" for file in files))
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
    """What is shown below the choice of worlds while the chosen one cannot be used."""

    panel: gr.Group
    words: gr.Markdown
    fetch: gr.Button
    align: gr.Button
    timer: gr.Timer


def lay_out_domain_panel() -> DomainPanel:
    """Place the parts: why a world cannot be used, and buttons that change that."""
    with gr.Group(visible=False, elem_id="world") as panel:
        words = gr.Markdown(latex_delimiters=[], elem_id="world-words")
        with gr.Row():
            fetch = gr.Button("Download it", visible=False, elem_id="world-fetch")
            align = gr.Button("Make a quick alignment", visible=False, elem_id="world-align")
    return DomainPanel(panel, words, fetch, align, gr.Timer(EVERY, active=False))


def connect_domain_panel(
    blocks: gr.Blocks,
    parts: DomainPanel,
    domain: gr.components.Component,
    supplies: SetupJobs,
    editors: Editors,
    allow_setup: bool,
) -> None:
    """Let the parts follow the choice of worlds.

    To be connected last: Gradio runs the events of one choice in turn, and the texts that belong
    to a world must be there before a visitor writes their own.

    Args:
        blocks: The page.
        parts: What ``lay_out_domain_panel`` placed.
        domain: The choice of worlds.
        supplies: Work under way.
        editors: Of all visitors.
        allow_setup: Whether visitors may start downloads and quick alignments.
    """
    outputs = [parts.panel, parts.words, parts.fetch, parts.align, parts.timer, domain]

    def look(key: str) -> tuple[dict, ...]:
        status, job = find_status(key), supplies.job(key)
        busy = job is not None and job.busy
        offered = allow_setup and not busy
        text = domain_words(status, job)
        return (
            gr.update(visible=bool(text)),
            gr.update(value=text),
            gr.update(visible=offered and bool(status.missing)),
            gr.update(visible=offered and status.available and not status.can_edit),
            gr.update(active=busy),
            gr.skip() if busy else gr.update(choices=domain_choices()),
        )

    # Hidden buttons do not stop a script, so these check again what ``look`` shows.
    @show_errors
    def start_download(key: str) -> tuple[dict, ...]:
        check_setup(find_status(key), allow_setup)
        supplies.start(key, download_work(key))
        return look(key)

    @show_errors
    def start_alignment(key: str) -> tuple[dict, ...]:
        check_setup(find_status(key), allow_setup)
        supplies.start(key, align_work(key, editors))
        return look(key)

    quiet = {"queue": False, "show_progress": "hidden", **HIDDEN}
    blocks.load(look, domain, outputs, **quiet)  # others may have completed a world meanwhile
    domain.input(look, domain, outputs, **quiet)
    parts.timer.tick(look, domain, outputs, **quiet)
    parts.fetch.click(start_download, domain, outputs, **quiet)
    parts.align.click(start_alignment, domain, outputs, **quiet)
