"""Sampling of pairs that is stopped anywhere and resumed gives the same as an unbroken one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tiny_networks import W_DIM, networks
from tmsa_core.errors import BundleError
from tmsa_core.progress import Progress, no_progress
from tmsa_core.training.mapper import bank
from tmsa_core.training.mapper.bank import ImageEmbedder, real_pairs, synthetic_pairs
from tmsa_core.training.mapper.cache import Parts, cached

COUNT = 70


class KilledError(Exception):
    """Stops the sampling in the middle."""


class WideGenerator(torch.nn.Module):
    """The tiny generator, for 512-dimensional z of which it uses the first entries."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = networks()[0]
        self.resolution = self.inner.resolution

    def map(self, z: Tensor) -> Tensor:
        return self.inner.map(z[:, :W_DIM])

    def broadcast(self, w: Tensor) -> Tensor:
        return self.inner.broadcast(w)

    def synthesise(self, codes: Tensor) -> Tensor:
        return self.inner.synthesise(codes)


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> ImageEmbedder:
    """The tiny networks, with eight images per batch and two batches per part."""
    monkeypatch.setattr(bank, "PIXELS", 8 * 64**2)
    monkeypatch.setattr(bank, "PART", 16)
    return ImageEmbedder(WideGenerator(), networks()[2])


def killed_after(count: int) -> Progress:
    """A callback that stops the sampling after ``count`` images."""

    def progress(done: int, total: int, message: str) -> None:
        if done >= count:
            raise KilledError

    return progress


@pytest.mark.parametrize("stops", [(8,), (16,), (40, 24), (70,), (1, 1, 1)])
def test_killed_and_resumed_sampling_equals_unbroken_sampling(
    embedder: ImageEmbedder, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    unbroken = synthetic_pairs(embedder, COUNT, 3, no_progress)
    parts = Parts(tmp_path / "parts", "key")
    for stop in stops:
        with pytest.raises(KilledError):
            synthetic_pairs(embedder, COUNT, 3, killed_after(stop), parts)
    kept = len(list((tmp_path / "parts").glob("*.safetensors")))
    embedder.evaluations = 0
    reports: list[int] = []
    resumed = synthetic_pairs(
        embedder, COUNT, 3, lambda done, total, message: reports.append(done), parts
    )
    assert all(torch.equal(a, b) for a, b in zip(resumed, unbroken, strict=True))
    assert reports[-1] == COUNT == embedder.evaluations
    assert reports[:kept] == [16 * (k + 1) for k in range(kept)]  # loaded, not sampled


def test_real_images_are_inverted_in_parts(embedder: ImageEmbedder, tmp_path: Path) -> None:
    encoder = networks()[1]
    images = torch.rand(12, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    read: list[int] = []

    def batch(number: int) -> Tensor:
        read.append(number)
        return images[2 * number : 2 * number + 2]

    pairs = partial(real_pairs, [partial(batch, k) for k in range(6)], embedder, encoder, 1.0)
    unbroken = pairs(no_progress)
    bank.PART = 2 * bank.REAL_BATCH  # two batches per part
    parts = Parts(tmp_path / "parts", "key")
    with pytest.raises(KilledError):
        pairs(killed_after(6), parts)
    read.clear()
    resumed = pairs(no_progress, parts)
    assert read == [2, 3, 4, 5]  # the complete part is not read again
    assert all(torch.equal(a, b) for a, b in zip(resumed, unbroken, strict=True))


def test_parts_of_another_key_and_damaged_parts_are_not_loaded(tmp_path: Path) -> None:
    Parts(tmp_path, "a").save(0, {"x": torch.ones(2)})
    found = Parts(tmp_path, "a").load(0)
    assert found is not None and torch.equal(found["x"], torch.ones(2))
    assert Parts(tmp_path, "a").load(1) is None and Parts(tmp_path, "b").load(0) is None
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-4])
    assert Parts(tmp_path, "a").load(0) is None


def test_parts_are_removed_when_the_result_is_saved(tmp_path: Path) -> None:
    def make(parts: Parts) -> dict[str, Tensor]:
        parts.save(0, {"x": torch.ones(3)})
        return {"x": torch.ones(3)}

    assert torch.equal(cached(tmp_path, "pairs", "key", make)["x"], torch.ones(3))
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir()] == ["pairs"]


def test_parts_that_cannot_be_saved_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BundleError, match="could not be written"):
        Parts(tmp_path / "file" / "parts", "key").save(0, {"x": torch.ones(1)})


def test_results_are_loaded_until_their_key_changes(tmp_path):
    calls = []

    def make(parts):
        calls.append(1)
        return {"x": torch.arange(6.0).view(2, 3) + len(calls)}

    first = cached(tmp_path, "kind", {"weights": "a"}, make)
    again = cached(tmp_path, "kind", {"weights": "a"}, make)
    assert len(calls) == 1 and torch.equal(first["x"], again["x"])
    other = cached(tmp_path, "kind", {"weights": "b"}, make)
    assert len(calls) == 2 and not torch.equal(first["x"], other["x"])
    assert len(list(tmp_path.glob("kind-*"))) == 1
    file = next(tmp_path.glob("kind-*/x.npy"))
    assert isinstance(np.load(file, mmap_mode="r"), np.memmap)


def test_damaged_results_are_computed_again(tmp_path):
    first = cached(tmp_path, "kind", "key", lambda parts: {"x": torch.arange(600.0)})
    file = next(tmp_path.glob("kind-*/x.npy"))
    file.write_bytes(file.read_bytes()[:1000])
    again = cached(tmp_path, "kind", "key", lambda parts: {"x": torch.arange(600.0)})
    assert torch.equal(again["x"], torch.arange(600.0)) and len(first) == len(again) == 1


def test_a_result_that_cannot_be_saved_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="file could not be written"):
        cached(tmp_path / "file", "kind", "key", lambda parts: {"x": torch.ones(2)})
