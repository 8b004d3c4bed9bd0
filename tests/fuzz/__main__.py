"""``python -m tests.fuzz --seed N --seconds 600``: generated inputs through every interface.

Exit status 1 where any case fails; each distinct fault is printed with the command that shows it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from PIL import Image

from tests.fuzz import commands, python_calls
from tests.fuzz.harness import Outcome, Report, run_cases
from tests.fuzz.http_calls import Traffic
from tests.fuzz.server import ROOT, hashes, running_server
from tests.fuzz.worker import Worker

SHARES = {"python": 0.45, "command": 0.4, "shell": 0.15}
"""Of the time: these run one after another, beside the requests to a server."""
MAKERS = {"python": python_calls.make, "command": commands.make, "shell": commands.make_shell}


@dataclass(frozen=True)
class Plan:
    """What is to be run. base: a portrait. indices: of the cases."""

    seed: int
    seconds: float
    base: Image.Image
    folder: Path
    indices: Sequence[int] = range(100_000)

    def run(self, family: str) -> Report:
        """Run the cases of a family until its time is over."""
        return self._requests() if family == "http" else self._calls(family)

    def _calls(self, family: str) -> Report:
        worker = Worker(family, MAKERS[family], self.seed, self.folder)
        try:
            return run_cases(worker, family, self.indices, self.seconds * SHARES[family])
        finally:
            worker.close()

    def _requests(self) -> Report:
        with running_server(self.folder) as server:
            before = hashes(server.checkpoints)
            traffic = Traffic(server, self.seed, self.base)
            indices = takewhile(lambda _: server.process.poll() is None, self.indices)
            report = run_cases(traffic, "http", indices, self.seconds)
            if hashes(server.checkpoints) != before:
                report.add(-1, Outcome("", "the checkpoints were changed by one of the cases", 0.0))
        return report


def main() -> int:
    """Run the cases; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to go on")
    parser.add_argument("--only", metavar="FAMILY:INDEX", help="run one case again")
    options = parser.parse_args()
    portrait = sorted((ROOT / "checkpoints" / "avatar" / "samples").glob("*.png"))[0]
    with tempfile.TemporaryDirectory(prefix="tmsa-fuzz-") as folder, Image.open(portrait) as base:
        plan = Plan(options.seed, options.seconds, base.convert("RGB"), Path(folder))
        if options.only:
            family, _, index = options.only.partition(":")
            reports = [replace(plan, indices=[int(index)]).run(family)]
        else:
            with ThreadPoolExecutor() as pool:
                web = pool.submit(plan.run, "http")
                reports = [*(plan.run(family) for family in SHARES), web.result()]
    for report in reports:
        print(*report.lines(options.seed), sep="\n")
    print(f"{sum(report.count for report in reports)} cases, seed {options.seed}")
    return int(any(report.faults for report in reports))


if __name__ == "__main__":
    sys.exit(main())
