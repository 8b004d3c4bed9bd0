"""Portraits per second of the avatar renderer: ``python -m benchmarks.bench_render``.

All lines measure one process on one core, except the last, which measures one process per core.
Processor time is printed too, because other work on the machine hardly changes it.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from tmsa_core.avatars.params import sample_portraits
from tmsa_core.avatars.render import render

COUNT = 150


def seconds(resolution: int, supersample: int) -> tuple[float, float]:
    """Wall-clock and processor time of ``COUNT`` random portraits, after a warm-up."""
    portraits = sample_portraits(COUNT, torch.Generator().manual_seed(0))
    render(portraits[:8], resolution, supersample=supersample)
    start, busy = time.perf_counter(), time.process_time()
    render(portraits, resolution, supersample=supersample)
    return time.perf_counter() - start, time.process_time() - busy


def together(processes: int, resolution: int, supersample: int) -> float:
    """Portraits per second of several processes together."""
    one_core = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(processes, get_context("spawn"), **one_core) as pool:
        list(pool.map(seconds, [32] * processes, [1] * processes))  # import everything first
        work = [pool.submit(seconds, resolution, supersample) for _ in range(processes)]
        return processes * COUNT / max(job.result()[0] for job in work)


def main() -> None:
    torch.set_num_threads(1)
    for resolution, supersample in ((64, 1), (64, 2), (128, 1), (128, 2), (256, 1)):
        clock, busy = seconds(resolution, supersample)
        print(
            f"{resolution} px, supersample {supersample}: {COUNT / clock:.0f} portraits/s, "
            f"{busy / COUNT * 1e3:.1f} ms of processor time each"
        )
    cores = os.cpu_count() or 1
    speed = together(cores, 128, 2)
    print(f"128 px, supersample 2, {cores} processes: {speed:.0f} portraits/s")


if __name__ == "__main__":
    main()
