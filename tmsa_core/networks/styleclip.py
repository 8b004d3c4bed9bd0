"""StyleCLIP's latent mapper ("StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery",
Patashnik et al. 2021, section 5): from a code to the step that one text asks of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tmsa_core.networks.stylegan2 import EqualLinear, PixelNorm

RATE = 0.01  # of the equalised layers; it calls for learning rates of about 0.5
LAYERS = 4
GROUPS = {"course": slice(0, 4), "medium": slice(4, 8), "fine": slice(8, None)}
"""Rows of W+ that each network moves. ``course`` is how published files spell it."""


class GroupMapper(nn.Module):
    """The network of one group of rows: a pixel norm, then four fully connected layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [EqualLinear(width, width, lr_mul=RATE, activation=True) for _ in range(LAYERS)]
        self.mapping = nn.Sequential(PixelNorm(), *layers)

    def forward(self, rows: Tensor) -> Tensor:
        """(B,rows,width) -> (B,rows,width).

        The norm runs over the rows, feature by feature: that is how the published weights were
        trained.
        """
        return self.mapping(rows)


class LevelsMapper(nn.Module):
    """Coarse, medium and fine networks side by side.

    The state dict is that of published checkpoints without the prefix ``mapper.``. A group that is
    left out of ``groups`` does not exist and moves nothing.
    """

    def __init__(self, w_dim: int = 512, groups: tuple[str, ...] = tuple(GROUPS)) -> None:
        super().__init__()
        self.groups = tuple(groups)
        for name in self.groups:
            setattr(self, f"{name}_mapping", GroupMapper(w_dim))

    def forward(self, w_plus: Tensor) -> Tensor:
        """w_plus (B,L,w_dim) -> (B,L,w_dim), the raw step; an edit adds 0.1 times it."""
        step = torch.zeros_like(w_plus)
        for name in self.groups:
            rows = GROUPS[name]
            step[:, rows] = getattr(self, f"{name}_mapping")(w_plus[:, rows])
        return step
