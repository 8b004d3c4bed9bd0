"""StyleCLIP's latent mapper: maps a latent code to the shift of one prompt.

Patashnik et al. 2021, "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", section 5.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tmsa_core.networks.stylegan2 import EqualLinear, PixelNorm

RATE = 0.01  # learning-rate multiplier of the layers; it needs learning rates of about 0.5
LAYERS = 4
# The rows of W+ that each network moves; published files spell "course" so.
GROUPS = {"course": slice(0, 4), "medium": slice(4, 8), "fine": slice(8, None)}


class GroupMapper(nn.Module):
    """The network of one group of rows: a pixel norm and four fully connected layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [EqualLinear(width, width, lr_mul=RATE, activation=True) for _ in range(LAYERS)]
        self.mapping = nn.Sequential(PixelNorm(), *layers)

    def forward(self, rows: Tensor) -> Tensor:
        """(B,rows,width) -> (B,rows,width).

        The norm runs over the rows of each feature, as in the training of the published weights.
        """
        return self.mapping(rows)


class LevelsMapper(nn.Module):
    """The coarse, medium and fine networks.

    The state dict is that of published checkpoints without the prefix ``mapper.``.

    Args:
        w_dim: Length of a row of W+.
        groups: The groups of ``GROUPS`` that have a network; the rows of others do not move.
    """

    def __init__(self, w_dim: int = 512, groups: tuple[str, ...] = tuple(GROUPS)) -> None:
        super().__init__()
        self.groups = tuple(groups)
        for name in self.groups:
            self.add_module(f"{name}_mapping", GroupMapper(w_dim))

    def forward(self, w_plus: Tensor) -> Tensor:
        """Latent codes w_plus (B,L,w_dim) -> raw shift (B,L,w_dim); an edit adds 0.1 times it."""
        shift = torch.zeros_like(w_plus)
        for name in self.groups:
            rows = GROUPS[name]
            shift[:, rows] = self.get_submodule(f"{name}_mapping")(w_plus[:, rows])
        return shift
