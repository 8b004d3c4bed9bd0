"""Images per second of the small networks, forward and in training steps.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_stylegan2 --threads 1

Counts processor time, so that other work on the machine disturbs little. Large tensors are cheap
only if freed memory is kept; on Linux with glibc set
MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=1000000000000.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from tmsa_core.networks import e4e, identity
from tmsa_core.networks.stylegan2 import Generator

SIDE = 128
GENERATORS = ((0.25, 128), (0.25, 192), (0.25, 256), (0.375, 192), (0.5, 128), (0.5, 256))


def fastest(step: Callable[[], object], seconds: float, threads: int) -> float:
    """Processor seconds per thread of the quickest of several runs."""
    step()
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.process_time()
        step()
        best = min(best, time.process_time() - before)
    return best / threads


def measure(
    name: str, network: nn.Module, inputs: Tensor, seconds: float, threads: int
) -> Iterator[str]:
    """A table row each for float32, bfloat16, and a bfloat16 training step."""
    batch = len(inputs)

    @torch.no_grad()
    def forward() -> Tensor:
        return network(inputs)

    def rough() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return forward()

    target = torch.zeros_like(forward())

    def train() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            made = network(inputs)
        (made - target).abs().mean().backward()

    for label, step in (("forward fp32", forward), ("forward bf16", rough), ("train bf16", train)):
        rate = batch / fastest(step, seconds, threads)
        yield f"{name:34s} {batch:5d} {label:13s} {rate:8.1f}"


def cases(batch: int) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Every network at 128 pixels, with inputs."""
    for multiplier, cap in GENERATORS:
        model = Generator(SIDE, channel_multiplier=multiplier, channel_max=cap)
        yield f"generator x{multiplier} max {cap}", model, torch.randn(batch, model.levels, 512)
    images = torch.randn(batch, 3, SIDE, SIDE)
    yield "e4e avatar", e4e.Encoder(**e4e.avatar_architecture(levels=12)), images
    yield "identity avatar", identity.IdentityNet(**identity.avatar_architecture()), images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(f"{'network':34s} batch {'step':13s} images/s per {arguments.threads} thread(s)")
    for batch in arguments.batch:
        for name, network, inputs in cases(batch):
            for row in measure(name, network, inputs, arguments.seconds, arguments.threads):
                print(row, flush=True)


if __name__ == "__main__":
    main()
