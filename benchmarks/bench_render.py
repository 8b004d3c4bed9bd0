"""Portraits per second of the avatar renderer: ``python -m benchmarks.bench_render``.

One process draws on one core; the last line is what a process per core draws together.
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


def seconds(resolution: int, supersample: int) -> float:
    """How long ``COUNT`` random portraits take, after a warm-up."""
    portraits = sample_portraits(COUNT, torch.Generator().manual_seed(0))
    render(portraits[:8], resolution, supersample=supersample)
    start = time.perf_counter()
    render(portraits, resolution, supersample=supersample)
    return time.perf_counter() - start


def together(processes: int, resolution: int, supersample: int) -> float:
    """Portraits per second of so many processes at work at the same time."""
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        list(pool.map(seconds, [32] * processes, [1] * processes))  # everything is imported
        work = [pool.submit(seconds, resolution, supersample) for _ in range(processes)]
        return processes * COUNT / max(job.result() for job in work)


def main() -> None:
    for resolution, supersample in ((64, 1), (64, 2), (128, 1), (128, 2), (256, 1)):
        speed = COUNT / seconds(resolution, supersample)
        print(f"{resolution} px, supersample {supersample}: {speed:.0f} portraits/s")
    cores = os.cpu_count() or 1
    speed = together(cores, 128, 2)
    print(f"128 px, supersample 2, {cores} processes: {speed:.0f} portraits/s")


if __name__ == "__main__":
    main()
