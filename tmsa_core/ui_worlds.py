"""Worlds that are not here yet: what they lack, and getting it while the page stays usable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import gradio as gr

from tmsa_core.domains import DomainStatus, find_domain, list_domains, size_words
from tmsa_core.errors import RequestError, TmsaError
from tmsa_core.ui_domains import Editors
from tmsa_core.ui_parts import HIDDEN, told
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

    @property
    def busy(self) -> bool:
        """Whether it is still under way."""
        return not (self.done or self.failed)


class Supplies:
    """Downloads and alignments in the background, one at a time, seen by every visitor."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def job(self, domain: str) -> Job | None:
        """What is being done for a domain, or was last."""
        return self._jobs.get(domain)

    def start(self, domain: str, work: Work) -> threading.Thread:
        """Do the work of a domain in the background.

        Args:
            domain: Its key.
            work: What to do; it is given a function to report with.

        Returns:
            The thread that does it.

        Raises:
            RequestError: Work for this domain or another is under way.
        """
        with self._lock:
            busy = [key for key, job in self._jobs.items() if job.busy]
            if busy:
                raise RequestError(
                    f"“{find_domain(busy[0]).title}” is being set up, and only one domain is at a "
                    "time: try again when that is done."
                )
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
        from tmsa_core.domains import needed_roles
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


def world_words(status: DomainStatus, job: Job | None) -> str:
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
    allow_setup: bool,
) -> None:
    """Let the parts follow the choice of worlds.

    To be connected last: Gradio runs the events of one choice in turn, and the texts that belong
    to a world must be there before a visitor writes their own.

    Args:
        blocks: The page.
        parts: What ``lay_out_worlds`` placed.
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
        text = world_words(status, job)
        return (
            gr.update(visible=bool(text)),
            gr.update(value=text),
            gr.update(visible=offered and bool(status.missing)),
            gr.update(visible=offered and status.available and not status.can_edit),
            gr.update(active=busy),
            gr.skip() if busy else gr.update(choices=world_choices()),
        )

    # Hidden buttons do not stop a script, so these check again what ``look`` shows.
    @told
    def start_download(key: str) -> tuple[dict, ...]:
        check_setup(find_status(key), allow_setup)
        supplies.start(key, download_work(key))
        return look(key)

    @told
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
