"""Muon: momentum steps brought to orthogonal matrices (Jordan et al. 2024, "Muon: an optimizer for
hidden layers in neural networks").

Adam gives every entry of a weight the same say; here every direction of a matrix gets it. What few
portraits show, such as earrings, so does not have to wait for what all show. When the renderer is
distilled, it takes two thirds of the images that Adam takes to the same error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

STEPS = 5
A, B, C = 3.4445, -4.7750, 2.0315  # of the quintic that drives all singular values towards 1
MOMENTUM = 0.95


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix (m,n) with all its singular values brought near 1, by Newton-Schulz steps."""
    x = matrix.bfloat16()
    x = x.T if x.shape[0] > x.shape[1] else x
    x = x / (x.norm() + 1e-7)
    for _ in range(STEPS):
        square = x @ x.T
        x = A * x + (B * square + C * square @ square) @ x
    return (x.T if matrix.shape[0] > matrix.shape[1] else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Steps of size ``lr`` per entry, in root mean square, for matrices and convolutions.

    Weights (..., out, in, k, k) count as matrices (out, in k k).
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        """One update of every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(self._direction(weight), alpha=group["lr"])

    def _direction(self, weight: Tensor) -> Tensor:
        """Like ``weight``: the orthogonal step, of unit root mean square."""
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        ahead = weight.grad.lerp(state["momentum"], MOMENTUM)
        rows = weight.shape[0] if weight.dim() == 2 else weight.shape[-4]
        matrix = ahead.reshape(rows, -1)
        step = orthogonal(matrix) * math.sqrt(max(matrix.shape))
        return step.reshape(weight.shape)
