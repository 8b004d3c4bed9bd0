"""Rendered portraits on disk, which all stages of the avatar bundle are trained on.

A pool is a folder of chunks. Each chunk is a pair of arrays: images (N,3,R,R) uint8 and portrait
parameters (N,columns) float32 (``Portraits.to_matrix``). A chunk depends only on the seed and on
its number. Every person appears in ``LOOKS`` portraits with different attributes; the identity
network learns from them. A second pool holds the same portraits, row by row, after one attribute
has changed: two such rows differ only in what that attribute draws.
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
from tmsa_core.imaging.images import from_uint8, to_uint8

CHUNK = 2048  # portraits of a chunk
LOOKS = 8  # portraits of a person
RENDER_BATCH = 32  # keeps a worker's memory small
HELD_OUT_SEED = 7_000_000  # larger than any seed of a trained chunk
CHANGED_SEED = 500_000  # added to the seed of a chunk for its changes


def chunk_portraits(seed: int, chunk: int, count: int) -> Portraits:
    """The first ``count`` portraits of a chunk; each person has ``LOOKS`` in a row."""
    generator = torch.Generator().manual_seed(seed * 100_003 + chunk)
    people = sample_portraits(-(-count // LOOKS), generator)
    repeated = people[torch.arange(count) // LOOKS]
    return same_person(repeated, sample_portraits(count, generator))


def one_change(portraits: Portraits, rng: torch.Generator) -> Portraits:
    """The same portraits with another option of one random visible attribute each."""
    seen = torch.stack([visible(portraits, name) for name in ATTRIBUTES], dim=1)  # (B,A)
    chosen = (torch.rand(seen.shape, generator=rng) * seen).argmax(dim=1)
    changed = {}
    for i, (name, attribute) in enumerate(ATTRIBUTES.items()):
        step = torch.randint(1, len(attribute.options), (len(portraits),), generator=rng)
        index = portraits.attributes[name]
        changed[name] = torch.where(chosen == i, (index + step) % len(attribute.options), index)
    return portraits.with_(**changed)


def changed_portraits(seed: int, chunk: int, count: int) -> Portraits:
    """The portraits of ``chunk_portraits`` after one visible attribute of each has changed."""
    rng = torch.Generator().manual_seed(seed * 100_003 + chunk + CHANGED_SEED)
    return one_change(chunk_portraits(seed, chunk, count), rng)


ChunkPortraits = Callable[[int, int, int], Portraits]  # seed, number of the chunk, count


def held_out_portraits(count: int, seed: int = 0) -> Portraits:
    """Portraits of different people that no stage is trained on."""
    return sample_portraits(count, torch.Generator().manual_seed(HELD_OUT_SEED + seed))


def render_chunk(
    folder: Path,
    seed: int,
    chunk: int,
    resolution: int,
    portraits_of: ChunkPortraits = chunk_portraits,
) -> None:
    """Render one chunk and write its two arrays, the images last: their file marks completion."""
    portraits = portraits_of(seed, chunk, CHUNK)
    images = torch.empty(len(portraits), 3, resolution, resolution, dtype=torch.uint8)
    for start in range(0, len(portraits), RENDER_BATCH):
        part = slice(start, start + RENDER_BATCH)
        images[part] = to_uint8(render(portraits[part], resolution).images)
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("params", portraits.to_matrix()), ("images", images)):
        with replacing(folder / f"{chunk:04d}.{name}.npy") as file:
            np.save(file, array.numpy())


def render_pool(
    folder: Path,
    seed: int,
    count: int,
    resolution: int,
    workers: int,
    portraits_of: ChunkPortraits = chunk_portraits,
) -> None:
    """Render the missing chunks of a pool.

    Args:
        folder: Folder of the pool.
        seed: Seed of all portraits.
        count: Size of the pool, rounded up to whole chunks.
        resolution: Side of the images in pixels.
        workers: Number of processes; each renders one chunk at a time.
        portraits_of: Gives the portraits of a chunk.
    """
    chunks = range(-(-count // CHUNK))
    missing = [c for c in chunks if not (folder / f"{c:04d}.images.npy").exists()]
    # A worker's strokes are too small to gain from several cores.
    one_core = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(workers, get_context("spawn"), **one_core) as pool:
        jobs = [
            pool.submit(render_chunk, folder, seed, c, resolution, portraits_of) for c in missing
        ]
        for job in tqdm(jobs, desc=folder.name, unit="chunk"):
            job.result()


@dataclass(frozen=True)
class Pool:
    """Renders on disk.

    Attributes:
        chunks: Memory-mapped images (N,3,R,R) uint8 of each chunk.
        portraits: The parameters of all portraits.
    """

    chunks: tuple[np.ndarray, ...]
    portraits: Portraits

    def __len__(self) -> int:
        return len(self.portraits)

    def images(self, index: Tensor) -> Tensor:
        """The images of the rows ``index`` (B,): (B,3,R,R) float32 in [-1, 1]."""
        rows = [self.chunks[i // CHUNK][i % CHUNK] for i in index.tolist()]
        return from_uint8(torch.from_numpy(np.stack(rows)))

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Endless batches (size,) of row numbers; each pass has a new order."""
        while True:
            order = torch.randperm(len(self), generator=generator)
            yield from order[: len(order) // size * size].view(-1, size).unbind()

    def shown(self, count: int) -> Tensor:
        """Row numbers of up to ``count`` people, always the same, for sample grids."""
        return torch.arange(0, len(self), LOOKS)[:count]

    def digest(self) -> str:
        """A key for caches: hash of all parameters and of the first images."""
        digest = hashlib.sha256(self.portraits.to_matrix().numpy().tobytes())
        digest.update(self.chunks[0][:LOOKS].tobytes())
        return digest.hexdigest()

    def first(self, count: int) -> Pool:
        """The chunks that hold the first ``count`` renders."""
        chunks = self.chunks[: -(-count // CHUNK)]
        return Pool(chunks, self.portraits[: sum(len(chunk) for chunk in chunks)])

    def person(self, index: Tensor) -> Tensor:
        """Number of the person in each row of ``index`` (B,): int64 (B,)."""
        return index // LOOKS


def open_pool(folder: Path) -> Pool:
    """Open the chunks of a pool, from number 0 up to the first missing one.

    Raises:
        RequestError: If there is no complete chunk.
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
    """The renders and, row by row, the same portraits after one attribute has changed."""
    renders, changed = open_pool(work / "renders"), open_pool(work / "changed")
    shared = min(len(renders), len(changed))
    return renders.first(shared), changed.first(shared)
