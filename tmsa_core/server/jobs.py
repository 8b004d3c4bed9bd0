"""Who of the visitors has long work under way, and who wants no more of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError, TmsaError
from tmsa_core.server.editors import Editors

Work = Callable[["Report"], None]
Report = Callable[[float, str], None]


class CancellationFlags:
    """A wish to stop for each visitor whose work waits or runs; many threads may ask."""

    def __init__(self) -> None:
        self._events: dict[str, threading.Event] = {}

    def begin(self, owner: str) -> None:
        """Before work waits for its turn: from now on it can be cancelled."""
        self._events[owner] = threading.Event()

    def of(self, owner: str) -> threading.Event:
        """What work looks at, set once it is to stop."""
        return self._events.setdefault(owner, threading.Event())

    def cancel(self, owner: str) -> bool:
        """Ask a visitor's work to stop; whether there is any."""
        event = self._events.get(owner)
        if event is not None:
            event.set()
        return event is not None

    def end(self, owner: str) -> None:
        """The work is over: there is nothing to cancel any more."""
        self._events.pop(owner, None)


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


class SetupJobs:
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
        from tmsa_core.availability import needed_roles
        from tmsa_core.bundles import complete, open_bundle

        bundle = open_bundle(domain)
        complete(
            bundle,
            needed_roles(find_domain(domain), bundle),
            lambda done, total, message: report(done / total if total else 0.0, message),
        )

    return work


def align_work(domain: str, editors: Editors) -> Work:
    """Make a first mapping network by the quick alignment."""

    def work(report: Report) -> None:
        from tmsa_core.training.mapper.quick import quick_align

        quick_align(domain, device=editors.first.device, progress=report)
        editors.forget(domain)

    return work
