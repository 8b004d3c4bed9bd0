"""The scoring classifier: attributes from renders alone, seen by no network that it scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tmsa_core.avatars.params import ATTRIBUTES
from tmsa_core.avatars.visibility import visible
from tmsa_core.networks.attributes import AttributeNet
from tmsa_core.training.avatar.clip import jitter
from tmsa_core.training.avatar.renders import open_pool
from tmsa_core.training.run import Options, Run, set_rate, update_average

ARCHITECTURE = {"options": {k: len(a.options) for k, a in ATTRIBUTES.items()}, "width": 24}
IMAGES = 100_000
BATCH = 64


def attribute_loss(model: AttributeNet, images: torch.Tensor, portraits: object) -> torch.Tensor:
    """Cross-entropy over all visible attributes. -> scalar"""
    loss = images.new_zeros(())
    for name, logits in model(images).items():
        seen = visible(portraits, name)
        loss = loss + F.cross_entropy(logits[seen].float(), portraits.attributes[name][seen])
    return loss


def train_classifier(options: Options) -> None:
    """Train the classifier; resumes from its last checkpoint."""
    run, device = Run("classifier", options, IMAGES), options.device
    torch.manual_seed(options.seed + 1)
    model, average = (AttributeNet(**ARCHITECTURE).to(device) for _ in range(2))
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    parts = {"model": model, "average": average, "optimiser": optimiser}
    done = run.resume(parts)
    pool = open_pool(options.work / "renders")
    rng = torch.Generator().manual_seed(options.seed * 1_000_003 + done)
    batches, step = pool.batches(BATCH, rng), 0
    while run.should_continue(done):
        index = next(batches)
        portraits = pool.portraits[index].to(device)
        images = jitter(pool.images(index), rng)
        # half of them blurred and noisy, so that soft generator output is judged on its content
        coarse = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
        images[::2] = coarse[::2] + 0.04 * torch.randn(coarse[::2].shape, generator=rng)
        set_rate(optimiser, 2e-3 * min(1.0, done / 5000 + 0.05) * (1 - done / IMAGES) + 1e-5)
        images = images.to(device)
        with torch.autocast(images.device.type, torch.bfloat16):
            loss = attribute_loss(model, images, portraits)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        update_average(average, model, decay=0.99)
        done += BATCH
        step += 1
        if step % 50 == 0:
            run.log(done, loss=loss / len(ATTRIBUTES))
        if run.checkpoint_due():
            run.save_checkpoint(parts, done)
    run.save_checkpoint(parts, done)
