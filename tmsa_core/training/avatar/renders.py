"""Renders kept on disk: drawn once, used by every stage.

A pool is a folder of chunks, each a pair of arrays: images (N,3,R,R) uint8 and descriptions
(N, columns) float32 (``Portraits.to_matrix``). A chunk depends on the seed and its number alone.
Every person appears in ``LOOKS`` portraits with different attributes, which is what the
identity network learns from. A second pool holds the same portraits with one attribute changed,
row by row: what differs between two rows is all that the attribute draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from tmsa_core.avatars.params import ATTRIBUTES, Portraits, same_person, sample_portraits
from tmsa_core.avatars.render import render
from tmsa_core.avatars.visibility import visible
from tmsa_core.errors import RequestError
from tmsa_core.files import replacing

CHUNK = 2048
LOOKS = 8
RENDER_BATCH = 32  # keeps a worker's memory small
HELD_OUT_SEED = 7_000_000  # chunks from here on are never trained on
CHANGED_SEED = 500_000  # of the changes, apart from the seeds of the chunks


def chunk_portraits(seed: int, chunk: int, count: int) -> Portraits:
    """The portraits of one chunk: ``count / LOOKS`` people, each in ``LOOKS`` looks."""
    generator = torch.Generator().manual_seed(seed * 100_003 + chunk)
    people = sample_portraits(-(-count // LOOKS), generator)
    repeated = people[torch.arange(count) // LOOKS]
    return same_person(repeated, sample_portraits(count, generator))


def one_change(portraits: Portraits, rng: torch.Generator) -> Portraits:
    """The same portraits, another option in one visible attribute of each."""
    seen = torch.stack([visible(portraits, name) for name in ATTRIBUTES], dim=1)  # (B,A)
    chosen = (torch.rand(seen.shape, generator=rng) * seen).argmax(dim=1)
    changed = {}
    for i, (name, attribute) in enumerate(ATTRIBUTES.items()):
        step = torch.randint(1, len(attribute.options), (len(portraits),), generator=rng)
        index = portraits.attributes[name]
        changed[name] = torch.where(chosen == i, (index + step) % len(attribute.options), index)
    return portraits.with_(**changed)


def changed_portraits(seed: int, chunk: int, count: int) -> Portraits:
    """Those of ``chunk_portraits``, each with one visible attribute changed."""
    rng = torch.Generator().manual_seed(seed * 100_003 + chunk + CHANGED_SEED)
    return one_change(chunk_portraits(seed, chunk, count), rng)


Draw = Callable[[int, int, int], Portraits]
"""Draws the portraits of a chunk: seed, number of the chunk, how many."""


def held_out_portraits(count: int, seed: int = 0) -> Portraits:
    """Portraits that no stage trains on: all different people."""
    return sample_portraits(count, torch.Generator().manual_seed(HELD_OUT_SEED + seed))


def to_uint8(images: Tensor) -> Tensor:
    """[-1, 1] float -> uint8."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def from_uint8(images: Tensor) -> Tensor:
    """uint8 -> [-1, 1] float32."""
    return images.float() / 127.5 - 1


def render_chunk(
    folder: Path, seed: int, chunk: int, resolution: int, draw: Draw = chunk_portraits
) -> None:
    """Draw one chunk and write its two arrays (images last: their file marks completion)."""
    portraits = draw(seed, chunk, CHUNK)
    images = torch.empty(len(portraits), 3, resolution, resolution, dtype=torch.uint8)
    for start in range(0, len(portraits), RENDER_BATCH):
        part = slice(start, start + RENDER_BATCH)
        images[part] = to_uint8(render(portraits[part], resolution).images)
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("params", portraits.to_matrix()), ("images", images)):
        with replacing(folder / f"{chunk:04d}.{name}.npy") as file:
            np.save(file, array.numpy())


def render_pool(
    folder: Path, seed: int, count: int, resolution: int, workers: int, draw: Draw = chunk_portraits
) -> None:
    """Draw what is missing of ``count`` portraits, several chunks at a time."""
    chunks = range(-(-count // CHUNK))
    missing = [c for c in chunks if not (folder / f"{c:04d}.images.npy").exists()]
    # A stroke is too small to be quicker on several cores: one for each worker.
    one_core = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(workers, get_context("spawn"), **one_core) as pool:
        jobs = [pool.submit(render_chunk, folder, seed, c, resolution, draw) for c in missing]
        for job in tqdm(jobs, desc=folder.name, unit="chunk"):
            job.result()


@dataclass(frozen=True)
class Pool:
    """Renders on disk, memory-mapped: images (per chunk) and all descriptions."""

    chunks: tuple[np.ndarray, ...]
    portraits: Portraits

    def __len__(self) -> int:
        return len(self.portraits)

    def images(self, index: Tensor) -> Tensor:
        """(B,3,R,R) float32 in [-1, 1] of the rows in ``index`` (B,)."""
        rows = [self.chunks[i // CHUNK][i % CHUNK] for i in index.tolist()]
        return from_uint8(torch.from_numpy(np.stack(rows)))

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Endless batches of row numbers, each pass in a new order."""
        while True:
            order = torch.randperm(len(self), generator=generator)
            yield from order[: len(order) // size * size].view(-1, size).unbind()

    def shown(self, count: int) -> Tensor:
        """Row numbers of up to ``count`` different people, always the same, for sample grids."""
        return torch.arange(0, len(self), LOOKS)[:count]

    def digest(self) -> str:
        """Names the set of renders, for caches: whom they show, and how the first of them look."""
        digest = hashlib.sha256(self.portraits.to_matrix().numpy().tobytes())
        digest.update(self.chunks[0][:LOOKS].tobytes())
        return digest.hexdigest()

    def first(self, count: int) -> Pool:
        """The chunks that hold the first ``count`` renders."""
        chunks = self.chunks[: -(-count // CHUNK)]
        return Pool(chunks, self.portraits[: sum(len(chunk) for chunk in chunks)])

    def person(self, index: Tensor) -> Tensor:
        """(B,) int64: which person a row shows."""
        return index // LOOKS


def open_pool(folder: Path) -> Pool:
    """Open the complete chunks of a pool, from number 0 up to the first missing one.

    Raises RequestError where there is none.
    """
    images, matrices = [], []
    while (path := folder / f"{len(images):04d}.images.npy").exists():
        matrices.append(np.load(folder / f"{len(images):04d}.params.npy"))
        images.append(np.load(path, mmap_mode="r"))
    if not images:
        raise RequestError(
            f"There are no renders in {folder}: run "
            "`python -m tmsa_core train avatar renders` first."
        )
    matrix = torch.from_numpy(np.concatenate(matrices))
    return Pool(tuple(images), Portraits.from_matrix(matrix))


def open_pairs(work: Path) -> tuple[Pool, Pool]:
    """The renders and, row by row, the same portraits with one attribute changed."""
    renders, changed = open_pool(work / "renders"), open_pool(work / "changed")
    shared = min(len(renders), len(changed))
    return renders.first(shared), changed.first(shared)
