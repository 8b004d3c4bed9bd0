"""Training in several processes: each works on its slice of every batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tmsa_core.errors import RequestError

if TYPE_CHECKING:
    from accelerate import Accelerator


def start_processes(device: str) -> Accelerator:
    """Join the processes that ``accelerate launch`` or ``torchrun`` started, if there are any.

    Raises:
        RequestError: If the package accelerate is missing.
    """
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise RequestError(
            "Training needs the package accelerate: run `pip install 'tmsa[train]'`."
        ) from error
    return Accelerator(cpu=torch.device(device).type == "cpu")


def check_shares(accelerator: Accelerator, batch: int, image_batch: int) -> None:
    """Raise RequestError if the processes cannot share batches of these sizes evenly."""
    count = accelerator.num_processes
    if batch % count or image_batch % count:
        raise RequestError(
            f"{count} processes cannot share batches of {batch} pairs and {image_batch} images "
            "evenly: use a number that divides both."
        )


def first_process_says(accelerator: Accelerator, answer: bool) -> bool:
    """The answer of the first process, so that all processes stop at the same step."""
    if accelerator.num_processes == 1:
        return answer
    from accelerate.utils import broadcast

    return bool(broadcast(torch.tensor(float(answer), device=accelerator.device)))


def average_gradients(accelerator: Accelerator, model: nn.Module) -> None:
    """Replace the gradients of each process by their mean over all processes."""
    if accelerator.num_processes == 1:
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    joined = accelerator.reduce(torch.cat([g.flatten() for g in gradients]), reduction="mean")
    for gradient, part in zip(gradients, joined.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def average_losses(accelerator: Accelerator, losses: dict[str, Tensor]) -> dict[str, float]:
    """The mean of each scalar loss over all processes."""
    values = torch.stack([value.detach().float() for value in losses.values()])
    if accelerator.num_processes > 1:
        values = accelerator.reduce(values, reduction="mean")
    return dict(zip(losses, values.tolist(), strict=True))
