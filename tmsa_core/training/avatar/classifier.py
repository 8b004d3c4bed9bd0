"""The attribute classifier that scores edits; trained on renders only.

No network that it scores takes part in its training.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.params import ATTRIBUTES, Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.networks.attributes import AttributeNet
from tmsa_core.training.avatar.clip import jitter
from tmsa_core.training.avatar.renders import open_pool
from tmsa_core.training.run import Options, Run, decayed_rate, seeded, set_rate, update_average

ARCHITECTURE = {"options": {k: len(a.options) for k, a in ATTRIBUTES.items()}, "width": 24}
IMAGES = 100_000
BATCH = 64


def attribute_loss(model: AttributeNet, images: Tensor, portraits: Portraits) -> Tensor:
    """Cross-entropy summed over the visible attributes: images (B,3,R,R) -> scalar."""
    loss = images.new_zeros(())
    for name, logits in model(images).items():
        seen = visible(portraits, name)
        loss = loss + F.cross_entropy(logits[seen].float(), portraits.attributes[name][seen])
    return loss


def train_classifier(options: Options) -> None:
    """Train the classifier; resumes from its last checkpoint."""
    run, device = Run("classifier", options, IMAGES), options.device
    with seeded(options.seed + 1):
        model, average = (AttributeNet(**ARCHITECTURE).to(device) for _ in range(2))
    average.load_state_dict(model.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    stateful = {"model": model, "average": average, "optimiser": optimiser}
    done = run.resume(stateful)
    pool = open_pool(options.work / "renders")
    rng = run.rng_at(done)
    batches, step = pool.batches(BATCH, rng), 0
    while run.should_continue(done):
        # 1. Read renders and shift them a little, as alignment does.
        index = next(batches)
        portraits = pool.portraits[index].to(device)
        images = jitter(pool.images(index), rng)
        # 2. Blur every second image and add noise, so that blurry generated images are also read.
        coarse = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
        images[::2] = coarse[::2] + 0.04 * torch.randn(coarse[::2].shape, generator=rng)
        images = images.to(device)
        # 3. Classify.
        with torch.autocast(images.device.type, torch.bfloat16):
            loss = attribute_loss(model, images, portraits)
        # 4. Update the network and its average.
        set_rate(optimiser, decayed_rate(2e-3, 5000, done, IMAGES))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        update_average(average, model, decay=0.99)
        done += BATCH
        step += 1
        # 5. Log, and save a checkpoint from time to time.
        if step % 50 == 0:
            run.log(done, loss=loss / len(ATTRIBUTES))
        if run.checkpoint_due():
            run.save_checkpoint(stateful, done)
    run.save_checkpoint(stateful, done)
