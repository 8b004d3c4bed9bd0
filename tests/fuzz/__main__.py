"""``python -m tests.fuzz --seed N --seconds 600``: generated inputs through every interface.

Exit status 1 where any case fails; each distinct fault is printed with the command that shows it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path

from PIL import Image

from tests.fuzz.runners import Report, Traffic, Worker, run_cases
from tests.live import ROOT, hashes, running_server

SHARES = {"python": 0.5, "command": 0.4, "shell": 0.1}
"""Of the time: these run one after another, beside the requests to a server."""


def run_kind(kind: str, seed: int, seconds: float, folder: Path, indices: Sequence[int]) -> Report:
    """Run the cases of a kind until its time is over."""
    if kind != "http":
        worker = Worker(kind, seed, folder)
        try:
            worker.run(None)  # starts the process, outside the time of the cases
            return run_cases(worker, kind, indices, seconds * SHARES[kind])
        finally:
            worker.close()
    samples = ROOT / "checkpoints" / "avatar" / "samples"
    with running_server(folder) as server, Image.open(min(samples.glob("*.png"))) as portrait:
        before = hashes(server.checkpoints)
        traffic = Traffic(server, seed, portrait.convert("RGB"), folder)
        alive = takewhile(lambda _: server.process.poll() is None, indices)
        report = run_cases(traffic, kind, alive, seconds)
        if hashes(server.checkpoints) != before:
            report.faults["the checkpoints were changed by one of the cases"] = [(-1, "")]
    return report


def main() -> int:
    """Run the cases; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--seconds", type=float, default=600.0, help="the time for all cases")
    parser.add_argument("--only", metavar="KIND:INDEX", help="run one case again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tmsa-fuzz-") as name, ThreadPoolExecutor() as pool:
        rest = options.seed, options.seconds, Path(name)
        if options.only:
            kind, _, index = options.only.partition(":")
            reports = [run_kind(kind, *rest, [int(index)])]
        else:
            http = pool.submit(run_kind, "http", *rest, range(10**6))
            reports = [run_kind(kind, *rest, range(10**6)) for kind in SHARES]
            reports.append(http.result())
    for report in reports:
        print(*report.lines(options.seed), sep="\n")
    print(f"{sum(report.count for report in reports)} cases, seed {options.seed}")
    return int(any(report.faults for report in reports))


if __name__ == "__main__":
    sys.exit(main())
