"""Long-running jobs: cancellation flags per session, and the setup of domains."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from tmsa_core.domains import find_domain
from tmsa_core.errors import RequestError, TmsaError
from tmsa_core.progress import Progress
from tmsa_core.server.editors import Editors

Work = Callable[[Progress], None]


class CancellationFlags:
    """A flag for each session whose job waits or runs; threads may use it concurrently."""

    def __init__(self) -> None:
        self._flags: dict[str, threading.Event] = {}

    def begin(self, owner: str) -> None:
        """Make a session's job cancellable; call this before the job waits for its turn."""
        self._flags[owner] = threading.Event()

    def of(self, owner: str) -> threading.Event:
        """Return the flag that a session's job checks between its steps."""
        return self._flags.setdefault(owner, threading.Event())

    def cancel(self, owner: str) -> bool:
        """Set a session's flag; False if the session has no job."""
        flag = self._flags.get(owner)
        if flag is not None:
            flag.set()
        return flag is not None

    def end(self, owner: str) -> None:
        """Forget a session's job when it has ended."""
        self._flags.pop(owner, None)


@dataclass(frozen=True)
class Job:
    """State of a domain's setup.

    Attributes:
        share: Part done, from 0 to 1.
        message: The current step.
        failed: Why the job failed; "" if it did not.
        done: Whether the job has succeeded.
    """

    share: float = 0.0
    message: str = "Starting"
    failed: str = ""
    done: bool = False

    @property
    def running(self) -> bool:
        """Whether the job has not ended."""
        return not (self.done or self.failed)


class SetupJobs:
    """Downloads and alignments in the background, one at a time, visible to all visitors.

    Args:
        asked: The domain that the operator started the page for, "" if it needs no setup. Its job
            is shown to visitors of all domains.
    """

    def __init__(self, asked: str = "") -> None:
        self.asked = asked
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def job(self, domain: str) -> Job | None:
        """Return the running or the last job of a domain."""
        return self._jobs.get(domain)

    def start(self, domain: str, work: Work) -> threading.Thread:
        """Start a job in a background thread.

        Args:
            domain: Key of the domain.
            work: The job; it reports its progress.

        Returns:
            The thread.

        Raises:
            RequestError: A job of this or another domain is running.
        """
        with self._lock:
            running = [key for key, job in self._jobs.items() if job.running]
            if running:
                raise RequestError(
                    f"“{find_domain(running[0]).title}” is being set up, and only one domain is "
                    "at a time: try again when that is done."
                )
            self._jobs[domain] = Job()
        thread = threading.Thread(target=self._run, args=(domain, work), daemon=True)
        thread.start()
        return thread

    def _run(self, domain: str, work: Work) -> None:
        def report(done: int, total: int, message: str) -> None:
            self._jobs[domain] = Job(done / total if total else 0.0, message)

        try:
            work(report)
        except TmsaError as error:
            self._jobs[domain] = replace(self._jobs[domain], failed=str(error))
        except Exception as error:  # nothing above this thread could show it to the visitor
            self._jobs[domain] = replace(self._jobs[domain], failed=f"{error!r}.")
            raise
        else:
            self._jobs[domain] = Job(1.0, "Done", done=True)


def download_work(domain: str) -> Work:
    """Make a job that downloads and converts the files that a domain lacks."""

    def work(progress: Progress) -> None:
        from tmsa_core.availability import needed_roles
        from tmsa_core.bundles import complete, open_bundle

        bundle = open_bundle(domain)
        complete(bundle, needed_roles(find_domain(domain), bundle), progress)

    return work


def align_work(domain: str, editors: Editors) -> Work:
    """Make a job that trains a domain's first mapping network by the quick alignment."""

    def work(progress: Progress) -> None:
        from tmsa_core.training.mapper.quick import quick_align

        quick_align(domain, device=editors.first.device, progress=progress)
        editors.forget(domain)

    return work
