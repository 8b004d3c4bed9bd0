"""Long work: cancellation flags of visitors, and the set-up of domains in the background."""

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
    """One flag per visitor whose work waits or runs; safe for several threads."""

    def __init__(self) -> None:
        self._events: dict[str, threading.Event] = {}

    def begin(self, owner: str) -> None:
        """Create the flag of a visitor, before the work waits for its turn."""
        self._events[owner] = threading.Event()

    def of(self, owner: str) -> threading.Event:
        """Return the flag of a visitor, which is set when the work should stop."""
        return self._events.setdefault(owner, threading.Event())

    def cancel(self, owner: str) -> bool:
        """Set the flag of a visitor; False where no work waits or runs."""
        event = self._events.get(owner)
        if event is not None:
            event.set()
        return event is not None

    def end(self, owner: str) -> None:
        """Remove the flag of a visitor whose work has ended."""
        self._events.pop(owner, None)


@dataclass(frozen=True)
class Job:
    """The state of a domain's set-up.

    Attributes:
        share: The finished share, from 0 to 1.
        words: The present step.
        failed: The reason of a failure, or "".
        done: Whether it has ended well.
    """

    share: float = 0.0
    words: str = "Starting"
    failed: str = ""
    done: bool = False

    @property
    def busy(self) -> bool:
        """Whether it still runs."""
        return not (self.done or self.failed)


class SetupJobs:
    """Downloads and quick alignments in the background, one at a time for all visitors."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def job(self, domain: str) -> Job | None:
        """Return the running or last set-up of a domain."""
        return self._jobs.get(domain)

    def start(self, domain: str, work: Work) -> threading.Thread:
        """Start the set-up of a domain in a thread.

        Args:
            domain: Its key.
            work: The work; its argument is a function that reports progress.

        Returns:
            The thread.

        Raises:
            RequestError: A set-up of this or another domain still runs.
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
        except Exception as error:  # at the end of the thread: the visitor gets any error
            self._jobs[domain] = replace(self._jobs[domain], failed=f"{error!r}.")
            raise
        else:
            self._jobs[domain] = Job(1.0, "Done", done=True)


def download_work(domain: str) -> Work:
    """Return the work that downloads and converts the missing files of a domain."""

    def work(report: Report) -> None:
        from tmsa_core.availability import needed_roles
        from tmsa_core.bundles import complete, open_bundle

        bundle = open_bundle(domain)
        complete(
            bundle,
            needed_roles(find_domain(domain), bundle),
            lambda words, done, total: report(done / total if total else 0.0, words),
        )

    return work


def align_work(domain: str, editors: Editors) -> Work:
    """Return the work that trains a first mapping network by the quick alignment."""

    def work(report: Report) -> None:
        from tmsa_core.training.mapper.quick import quick_align

        quick_align(domain, device=editors.first.device, progress=report)
        editors.forget(domain)

    return work
