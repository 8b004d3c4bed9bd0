"""The alignment in closed form: a ridge regression of latent codes on CLIP embeddings.

The penalty is given as a noise length: least squares on unit embeddings plus random vectors of this
length is regularised equally. The penalty keeps the mapper from amplifying directions in which
texts vary and images hardly do.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tmsa_core.networks.tmsa import Mapper
from tmsa_core.training.mapper.bank import Bank


def ridge(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """Ridge regression, the W (D,K) that minimises |x W - y|^2 + N penalty |W|^2.

    x (N,D) has zero mean, y is (N,K).
    """
    gram = x.T @ x / len(x) + penalty * torch.eye(x.shape[1], device=x.device)
    return torch.linalg.solve(gram, x.T @ y / len(x))


def blank_mapper(bank: Bank, hidden: tuple[int, ...]) -> Mapper:
    """A mapper with the means and the spread of a bank, and zero output weights."""
    both = torch.cat([bank.synthetic, bank.real])
    mapper = Mapper(bank.levels, hidden, clip_dim=both.shape[1], w_dim=bank.w.shape[1])
    mapper.clip_mean.copy_(both.mean(dim=0))
    mapper.clip_spread.copy_((both - both.mean(dim=0)).square().mean().sqrt())
    mapper.latent_avg.copy_(bank.w.mean(dim=0).expand(bank.levels, -1))
    mapper.linear.weight.data.zero_()
    if mapper.layers:
        mapper.layers[-1].weight.data.zero_()
    return mapper


def closed_form(bank: Bank, noise: float, hidden: tuple[int, ...] = ()) -> Mapper:
    """A mapper whose linear path is the ridge regression on all pairs of a bank.

    Args:
        bank: Synthetic and, if there are any, real pairs.
        noise: The penalty, as a noise length.
        hidden: Widths of hidden layers, whose output is zero at first.

    Returns:
        The mapper.
    """
    mapper = blank_mapper(bank, hidden)
    x = (torch.cat([bank.synthetic, bank.real]) - mapper.clip_mean) / mapper.clip_spread
    penalty = float((noise / mapper.clip_spread) ** 2 / x.shape[1])
    if len(bank.real):
        codes = torch.cat([bank.w[:, None].expand(-1, bank.levels, -1), bank.inverted])
        weight = ridge(x, (codes - mapper.latent_avg).flatten(1), penalty)  # (D, L*512)
        weight = weight.view(x.shape[1], bank.levels, -1).transpose(0, 1)
    else:  # w is the same on every level
        weight = ridge(x, bank.w - mapper.latent_avg[0], penalty).expand(bank.levels, -1, -1)
    mapper.linear.weight.data.copy_(weight)
    return mapper
