"""Recorded outputs of the original networks, with their weights and inputs.

``networks.json`` has the state-dict shapes, ``networks.npz`` samples of the outputs of the
published code (rosinality/stylegan2-pytorch, omertov/encoder4editing) in float32 on a CPU;
``synthetic_weights.py`` computes the weights and inputs from names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.synthetic_checkpoints import synthetic_weights

GOLDENS = Path(__file__).parent.parent / "goldens"


@dataclass(frozen=True)
class Golden:
    """The recorded numbers of one network."""

    name: str
    meta: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    synthetic: ModuleType

    def key(self, name: str) -> str:
        return self.meta["namespace"] + name

    def expected(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[f"{self.name}_{name}"])

    def normal(self, name: str, *shape: int) -> Tensor:
        return torch.from_numpy(self.synthetic.hash_normal(self.key(name), shape))

    def image(self, name: str, side: int) -> Tensor:
        return torch.from_numpy(self.synthetic.smooth_image(self.key(name), side, side))

    def sample(self, x: Tensor, name: str, count: int) -> Tensor:
        indices = self.synthetic.hash_indices(self.key("idx/" + name), x.numel(), count)
        return x.flatten()[torch.from_numpy(indices)]

    def fill(self, network: nn.Module, prefix: str = "") -> nn.Module:
        """Check the keys and shapes of a network and load the synthetic weights, strictly."""
        shapes = {key: tuple(shape) for key, shape in self.meta["shapes"].items()}
        state = network.state_dict()
        assert {prefix + key: tuple(value.shape) for key, value in state.items()} == shapes
        for key, value in self.synthetic.fill_state_dict(shapes, self.key("")).items():
            state[key.removeprefix(prefix)] = torch.from_numpy(value)
        network.load_state_dict(state, strict=True, assign=True)
        return network.eval()


@pytest.fixture(scope="session")
def golden() -> Any:
    """``golden("e4e")`` and so on: a ``Golden``."""
    meta = json.loads((GOLDENS / "networks.json").read_text())
    with np.load(GOLDENS / "networks.npz") as file:
        arrays = {name: file[name] for name in file.files}
    return lambda name: Golden(name, meta[name], arrays, synthetic_weights())
