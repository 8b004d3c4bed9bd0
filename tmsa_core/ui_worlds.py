"""Worlds that are not here yet: what they lack, and getting it while the page stays usable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import gradio as gr

from tmsa_core.domains import DomainStatus, list_domains, size_words
from tmsa_core.errors import TmsaError
from tmsa_core.ui_domains import Editors
from tmsa_core.ui_parts import HIDDEN
from tmsa_core.ui_toasts import plain_markdown

EVERY = 1.0  # seconds between two looks at work under way
Work = Callable[["Report"], None]
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Job:
    """Work under way for a domain. share: done, from 0 to 1. failed: why it ended early."""

    share: float = 0.0
    words: str = "Starting"
    failed: str = ""
    done: bool = False


class Supplies:
    """Downloads and alignments in the background, one per domain, seen by every visitor."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def job(self, domain: str) -> Job | None:
        """What is being done for a domain, or was last."""
        return self._jobs.get(domain)

    def start(self, domain: str, work: Work) -> threading.Thread | None:
        """Do ``work`` in the background; None where some is under way already."""
        with self._lock:
            job = self._jobs.get(domain)
            if job is not None and not (job.done or job.failed):
                return None
            self._jobs[domain] = Job()
        thread = threading.Thread(target=self._do, args=(domain, work), daemon=True)
        thread.start()
        return thread

    def _do(self, domain: str, work: Work) -> None:
        def report(share: float, words: str) -> None:
            self._jobs[domain] = Job(share, words)

        try:
            work(report)
        except TmsaError as error:
            self._jobs[domain] = replace(self._jobs[domain], failed=str(error))
        except Exception as error:  # the thread's last stop: whatever it was, the visitor is told
            self._jobs[domain] = replace(self._jobs[domain], failed=f"{error!r}.")
            raise
        else:
            self._jobs[domain] = Job(1.0, "Done", done=True)


def download_work(domain: str) -> Work:
    """Fetch and convert what a domain's bundle lacks."""

    def work(report: Report) -> None:
        from tmsa_core.bundles import open_bundle
        from tmsa_core.domains import find_domain, needed_roles
        from tmsa_core.supply import complete

        bundle = open_bundle(domain)
        complete(
            bundle,
            needed_roles(find_domain(domain), bundle),
            lambda words, done, total: report(done / total if total else 0.0, words),
        )

    return work


def align_work(domain: str, editors: Editors) -> Work:
    """Make a first mapping network by the quick alignment."""

    def work(report: Report) -> None:
        from tmsa_core.training.quick import quick_align

        quick_align(domain, device=editors.first.device, progress=report)
        editors.forget(domain)

    return work


def world_choices() -> list[tuple[str, str]]:
    """(title, key) of every domain; the title says where one cannot be used yet."""
    return [(d.title if d.can_edit else f"{d.title} (not here yet)", d.key) for d in list_domains()]


def find_status(domain: str) -> DomainStatus:
    """A domain as it stands now."""
    return next(status for status in list_domains() if status.key == domain)


def world_words(status: DomainStatus, job: Job | None) -> str:
    """What a domain lacks and what is being done about it, in Markdown; "" where all is here."""
    if job is not None and not (job.done or job.failed):
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
            "Its pictures can be inverted already. What is missing is the mapping network from "
            "texts to edits; the quick alignment makes a first one from the generator alone."
        )
    if status.notice:
        lines.append(status.notice)
    return "\n\n".join(lines)


@dataclass(frozen=True)
class WorldParts:
    """What is shown below the choice of worlds while the chosen one cannot be used."""

    panel: gr.Group
    words: gr.Markdown
    fetch: gr.Button
    align: gr.Button
    timer: gr.Timer


def lay_out_worlds() -> WorldParts:
    """Place the parts: why a world cannot be used, and buttons that change that."""
    with gr.Group(visible=False, elem_id="world") as panel:
        words = gr.Markdown(latex_delimiters=[], elem_id="world-words")
        with gr.Row():
            fetch = gr.Button("Download it", visible=False, elem_id="world-fetch")
            align = gr.Button("Make a quick alignment", visible=False, elem_id="world-align")
    return WorldParts(panel, words, fetch, align, gr.Timer(EVERY, active=False))


def connect_worlds(
    blocks: gr.Blocks,
    parts: WorldParts,
    domain: gr.components.Component,
    supplies: Supplies,
    editors: Editors,
) -> None:
    """Let the parts follow the choice of worlds.

    To be connected last: Gradio runs the events of one choice in turn, and the texts that belong
    to a world must be there before a visitor writes their own.
    """
    outputs = [parts.panel, parts.words, parts.fetch, parts.align, parts.timer, domain]

    def look(key: str) -> tuple[dict, ...]:
        status, job = find_status(key), supplies.job(key)
        busy = job is not None and not (job.done or job.failed)
        text = world_words(status, job)
        return (
            gr.update(visible=bool(text)),
            gr.update(value=text),
            gr.update(visible=bool(status.missing) and not busy),
            gr.update(visible=status.available and not status.can_edit and not busy),
            gr.update(active=busy),
            gr.skip() if busy else gr.update(choices=world_choices()),
        )

    def start_download(key: str) -> tuple[dict, ...]:
        supplies.start(key, download_work(key))
        return look(key)

    def start_alignment(key: str) -> tuple[dict, ...]:
        supplies.start(key, align_work(key, editors))
        return look(key)

    quiet = {"queue": False, "show_progress": "hidden", **HIDDEN}
    blocks.load(look, domain, outputs, **quiet)  # others may have completed a world meanwhile
    domain.input(look, domain, outputs, **quiet)
    parts.timer.tick(look, domain, outputs, **quiet)
    parts.fetch.click(start_download, domain, outputs, **quiet)
    parts.align.click(start_alignment, domain, outputs, **quiet)
