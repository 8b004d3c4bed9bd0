"""The avatar CLIP: renders and captions in one embedding space.

Contrastive training (Radford et al. 2021), with two additions that known attributes allow. First,
a caption is true of every portrait with the mentioned attributes, so its target is spread over all
of them instead of treating the others as negatives. Second, one linear head predicts the attributes
from image and from text embeddings: those that a caption mentions must be predicted, all others
must stay at their prior. This keeps the difference of two texts about one attribute from moving
the others.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tmsa_core.avatars.language.captions import (
    Caption,
    allowed_options,
    captions,
    true_of,
    vocabulary,
)
from tmsa_core.avatars.params import ATTRIBUTES, TRAITS, Portraits
from tmsa_core.avatars.visibility import visible
from tmsa_core.networks.clip import compact_clip
from tmsa_core.training.avatar.renders import open_pool
from tmsa_core.training.run import Options, Run, seeded, set_rate, update_average

CONTEXT = 40  # tokens of a caption
IMAGES = 240_000
BATCH = 128
RATE = 2e-3


def architecture() -> dict[str, object]:
    """Constructor arguments of the avatar CLIP; the vocabulary is that of all captions."""
    return {
        "embed_dim": 512,
        "vision": {"layers": [1, 1, 1, 1], "width": 24, "head_width": 64, "image_size": 64},
        "text": {"context_length": CONTEXT, "width": 128, "heads": 4, "layers": 3},
        "words": list(vocabulary()),
    }


class AttributeHead(nn.Module):
    """Linear predictor of traits and attributes, shared by image and text embeddings."""

    def __init__(self, embed_dim: int = 512) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(12.0))
        self.sizes = [len(a.options) for a in ATTRIBUTES.values()]
        self.linear = nn.Linear(embed_dim, len(TRAITS) + sum(self.sizes))

    def forward(self, embedding: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Unit vectors (B,512) -> traits (B,T), and logits (B,options) by attribute."""
        y = self.linear(embedding * self.scale)
        traits, logits = y[:, : len(TRAITS)], y[:, len(TRAITS) :].split(self.sizes, dim=1)
        return traits, dict(zip(ATTRIBUTES, logits, strict=True))


def contrastive_loss(images: Tensor, texts: Tensor, true: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy in both directions, with targets spread evenly over all true pairs.

    Args:
        images: Unit vectors (B,512).
        texts: Unit vectors (B,512).
        true: Whether a text is true of an image: bool (B,B), [text, image].
        scale: Inverse temperature, a scalar.

    Returns:
        A scalar.
    """
    logits = scale * texts @ images.T
    to_image = true.float() / true.sum(dim=1, keepdim=True)
    to_text = (true.float() / true.sum(dim=0, keepdim=True)).T
    return 0.5 * (F.cross_entropy(logits, to_image) + F.cross_entropy(logits.T, to_text))


def image_head_loss(head: AttributeHead, embedding: Tensor, portraits: Portraits) -> Tensor:
    """Error of the attributes predicted from image embeddings (B,512) -> scalar.

    Attributes that a portrait does not show are left out.
    """
    traits, logits = head(embedding)
    portraits = portraits.to(embedding.device)
    truth = torch.stack([portraits.traits[k] for k in TRAITS], dim=1)
    loss = 2 * F.mse_loss(traits, truth)
    for name, y in logits.items():
        seen = visible(portraits, name)
        loss = loss + F.cross_entropy(y[seen], portraits.attributes[name][seen]) / len(logits)
    return loss


def text_head_loss(head: AttributeHead, embedding: Tensor, batch: Sequence[Caption]) -> Tensor:
    """Error of the attributes predicted from text embeddings (B,512) -> scalar.

    The target of an attribute is its prior over the options that the caption allows; the target
    of a trait is its mean over the range that the caption allows.
    """
    traits, logits = head(embedding)
    means = torch.stack([_trait_target(batch, k) for k in TRAITS], dim=1)
    loss = 2 * F.mse_loss(traits, means.to(traits))
    for name, y in logits.items():
        prior = torch.tensor(ATTRIBUTES[name].prior)
        allowed = allowed_options(batch, name)
        target = F.normalize(prior * allowed, p=1, dim=1)
        weight = torch.where(allowed.all(dim=1), 1.0, 3.0)
        errors = F.cross_entropy(y, target.to(y), reduction="none")
        loss = loss + (weight.to(y) * errors).mean() / len(logits)
    return loss


def _trait_target(batch: Sequence[Caption], name: str) -> Tensor:
    """(B,) mean of a trait over the ranges that each caption allows (low, middle, high)."""
    allowed = allowed_options(batch, name).float()
    centres, shares = torch.tensor([-0.75, 0.0, 0.75]), torch.tensor([0.25, 0.5, 0.25])
    return (allowed * shares * centres).sum(dim=1) / (allowed * shares).sum(dim=1)


def train_clip(options: Options) -> None:
    """Train both towers and the shared head; resumes from its last checkpoint."""
    run, device = Run("clip", options, IMAGES), options.device
    with seeded(options.seed):
        model, head = compact_clip(**architecture()).to(device), AttributeHead().to(device)
        average = compact_clip(**architecture()).to(device).requires_grad_(False)
    average.load_state_dict(model.state_dict())
    temperature = nn.ParameterDict({"log": nn.Parameter(torch.tensor(2.5, device=device))})
    learnt = [*model.parameters(), *head.parameters(), *temperature.parameters()]
    optimiser = torch.optim.AdamW(learnt, betas=(0.9, 0.98), weight_decay=1e-3)
    stateful = {
        "model": model,
        "average": average,
        "head": head,
        "temperature": temperature,
        "optimiser": optimiser,
    }
    done = run.resume(stateful)
    pool = open_pool(options.work / "renders")
    rng = run.rng_at(done)
    words = random.Random(rng.initial_seed())
    batches, step = pool.batches(BATCH, rng), 0
    while run.should_continue(done):
        # 1. Read renders and write a new caption for each.
        index = next(batches)
        portraits = pool.portraits[index]
        said = captions(portraits, words)
        images = jitter(pool.images(index), rng).to(device)
        # 2. Embed both.
        with torch.autocast(images.device.type, torch.bfloat16):
            seen = F.normalize(model.model.encode_image(model.preprocess(images)).float(), dim=1)
        read = model.embed_texts([c.text for c in said])
        # 3. Compare them with each other and with the true attributes.
        true = true_of(said, portraits).to(device)
        contrast = contrastive_loss(seen, read, true, temperature["log"].clamp(0, 4.6).exp())
        by_image = image_head_loss(head, seen, portraits)
        by_text = text_head_loss(head, read, said)
        # 4. Update the towers, the head, the temperature and the average.
        warm, rest = min(1.0, done / 20_000 + 0.05), 1 - done / IMAGES
        set_rate(optimiser, RATE * warm * rest**0.7 + 1e-5)
        optimiser.zero_grad()
        (contrast + by_image + by_text).backward()
        nn.utils.clip_grad_norm_(learnt, 5.0)
        optimiser.step()
        update_average(average, model, decay=0.995)
        done += BATCH
        step += 1
        # 5. Log, and save a checkpoint from time to time.
        if step % 50 == 0:
            run.log(done, contrast=contrast, image_head=by_image, text_head=by_text)
        if run.checkpoint_due():
            run.save_checkpoint(stateful, done)
    run.save_checkpoint(stateful, done)


def jitter(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift, scale and brighten each image (B,3,R,R) a little, as the crops of photos differ."""
    count = images.shape[0]
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 + 0.04 * (torch.rand(count, generator=rng) - 0.5)
    theta[:, :, 2] = 0.06 * (torch.rand(count, 2, generator=rng) - 0.5)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return moved * (1 + 0.1 * (torch.rand(count, 1, 1, 1, generator=rng) - 0.5))
