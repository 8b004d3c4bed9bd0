"""The optimiser Muon: momentum, with the steps turned into orthogonal matrices.

Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", and its
reference implementation. ``torch.optim.Muon`` accepts 2-D weights only; here convolutions count as
matrices as well, and a step has a root mean square of ``lr``.

Adam normalises each entry of a weight, Muon each direction of a matrix, so that rare features such
as earrings are learnt as early as common ones. In the distillation of the renderer it needs two
thirds of Adam's images for the same error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

# The authors' values. The polynomial a x + b x^3 + c x^5 moves all singular values towards 1.
STEPS = 5
A, B, C = 3.4445, -4.7750, 2.0315
MOMENTUM = 0.95


def orthogonal(matrix: Tensor) -> Tensor:
    """Bring all singular values of a matrix (m,n) near 1, by Newton-Schulz iteration."""
    x = matrix.bfloat16()
    x = x.T if x.shape[0] > x.shape[1] else x
    x = x / (x.norm() + 1e-7)
    for _ in range(STEPS):
        square = x @ x.T
        x = A * x + (B * square + C * square @ square) @ x
    return (x.T if matrix.shape[0] > matrix.shape[1] else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for matrices (out,in) and convolutions (...,out,in,k,k), read as (out, in k k)."""

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(self._direction(weight), alpha=group["lr"])

    def _direction(self, weight: Tensor) -> Tensor:
        """The orthogonal step for a weight, in its shape, with a root mean square of 1."""
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        ahead = weight.grad.lerp(state["momentum"], MOMENTUM)
        rows = weight.shape[0] if weight.dim() == 2 else weight.shape[-4]
        matrix = ahead.reshape(rows, -1)
        step = orthogonal(matrix) * math.sqrt(max(matrix.shape))
        return step.reshape(weight.shape)
