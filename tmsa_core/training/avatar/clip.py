"""The avatar CLIP: renders and captions in one space.

Contrastive, with two things the renderer makes possible. A caption is true of every portrait
that shares what it mentions, so the targets spread over all of them instead of punishing the
others as negatives. And one linear head reads the attributes off image and text embeddings
alike: what a caption says must be readable, what it does not say must stay at the prior. That
keeps a text difference about one attribute from moving the others.
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
from tmsa_core.training.run import Options, Run, set_rate, update_average

CONTEXT = 40
IMAGES = 240_000
BATCH = 128
RATE = 2e-3


def architecture() -> dict[str, object]:
    """Constructor arguments of the avatar CLIP."""
    return {
        "embed_dim": 512,
        "vision": {"layers": [1, 1, 1, 1], "width": 24, "head_width": 64, "image_size": 64},
        "text": {"context_length": CONTEXT, "width": 128, "heads": 4, "layers": 3},
        "words": list(vocabulary()),
    }


class AttributeHead(nn.Module):
    """Linear read-out of traits and attributes, shared by image and text embeddings."""

    def __init__(self, embed_dim: int = 512) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(12.0))
        self.sizes = [len(a.options) for a in ATTRIBUTES.values()]
        self.linear = nn.Linear(embed_dim, len(TRAITS) + sum(self.sizes))

    def forward(self, embedding: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(B,512) unit vectors -> traits (B,T), attribute -> (B,options) logits."""
        y = self.linear(embedding * self.scale)
        traits, logits = y[:, : len(TRAITS)], y[:, len(TRAITS) :].split(self.sizes, dim=1)
        return traits, dict(zip(ATTRIBUTES, logits, strict=True))


def contrastive_loss(images: Tensor, texts: Tensor, true: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy in both directions with the mass spread over all true pairs. -> scalar

    images, texts: (B,512) unit vectors; true: (B,B) bool, [text, image].
    """
    logits = scale * texts @ images.T
    to_image = true.float() / true.sum(dim=1, keepdim=True)
    to_text = (true.float() / true.sum(dim=0, keepdim=True)).T
    return 0.5 * (F.cross_entropy(logits, to_image) + F.cross_entropy(logits.T, to_text))


def image_head_loss(head: AttributeHead, embedding: Tensor, portraits: Portraits) -> Tensor:
    """Everything visible must be readable from an image embedding. -> scalar"""
    traits, logits = head(embedding)
    portraits = portraits.to(embedding.device)
    truth = torch.stack([portraits.traits[k] for k in TRAITS], dim=1)
    loss = 2 * F.mse_loss(traits, truth)
    for name, y in logits.items():
        seen = visible(portraits, name)
        loss = loss + F.cross_entropy(y[seen], portraits.attributes[name][seen]) / len(logits)
    return loss


def text_head_loss(head: AttributeHead, embedding: Tensor, batch: Sequence[Caption]) -> Tensor:
    """What a text says must be readable, and what it leaves open must stay at the prior. -> scalar

    The target of an attribute is its prior over the options that the caption allows; that of a
    trait is the middle of the range that it allows.
    """
    traits, logits = head(embedding)
    middles = torch.stack([_trait_target(batch, k) for k in TRAITS], dim=1)
    loss = 2 * F.mse_loss(traits, middles.to(traits))
    for name, y in logits.items():
        prior = torch.tensor(ATTRIBUTES[name].prior)
        allowed = allowed_options(batch, name)
        target = F.normalize(prior * allowed, p=1, dim=1)
        weight = torch.where(allowed.all(dim=1), 1.0, 3.0)
        residual = F.cross_entropy(y, target.to(y), reduction="none")
        loss = loss + (weight.to(y) * residual).mean() / len(logits)
    return loss


def _trait_target(batch: Sequence[Caption], name: str) -> Tensor:
    """(N,) the mean of a trait, given what each caption says of it (low, middle, high)."""
    allowed = allowed_options(batch, name).float()
    centres, shares = torch.tensor([-0.75, 0.0, 0.75]), torch.tensor([0.25, 0.5, 0.25])
    return (allowed * shares * centres).sum(dim=1) / (allowed * shares).sum(dim=1)


def train_clip(options: Options) -> None:
    """Train both towers and the shared head; resumes from its last checkpoint."""
    run, device = Run("clip", options, IMAGES), options.device
    torch.manual_seed(options.seed)
    model, head = compact_clip(**architecture()).to(device), AttributeHead().to(device)
    average = compact_clip(**architecture()).to(device).requires_grad_(False)
    average.load_state_dict(model.state_dict())
    temperature = nn.ParameterDict({"log": nn.Parameter(torch.tensor(2.5, device=device))})
    learnt = [*model.parameters(), *head.parameters(), *temperature.parameters()]
    optimiser = torch.optim.AdamW(learnt, betas=(0.9, 0.98), weight_decay=1e-3)
    parts = {
        "model": model,
        "average": average,
        "head": head,
        "temperature": temperature,
        "optimiser": optimiser,
    }
    done = run.resume(parts)
    pool = open_pool(options.work / "renders")
    rng = torch.Generator().manual_seed(options.seed * 1_000_003 + done)
    words = random.Random(options.seed * 1_000_003 + done)
    batches, step = pool.batches(BATCH, rng), 0
    while run.should_continue(done):
        index = next(batches)
        portraits = pool.portraits[index]
        said = captions(portraits, words)
        share = done / IMAGES
        set_rate(optimiser, RATE * min(1.0, done / 20_000 + 0.05) * (1 - share) ** 0.7 + 1e-5)
        images = jitter(pool.images(index), rng).to(device)
        with torch.autocast(images.device.type, torch.bfloat16):
            seen = F.normalize(model.model.encode_image(model.preprocess(images)).float(), dim=1)
        read = model.embed_texts([c.text for c in said])
        true = true_of(said, portraits).to(device)
        contrast = contrastive_loss(seen, read, true, temperature["log"].clamp(0, 4.6).exp())
        by_image = image_head_loss(head, seen, portraits)
        by_text = text_head_loss(head, read, said)
        optimiser.zero_grad()
        (contrast + by_image + by_text).backward()
        nn.utils.clip_grad_norm_(learnt, 5.0)
        optimiser.step()
        update_average(average, model, decay=0.995)
        done += BATCH
        step += 1
        if step % 50 == 0:
            run.log(done, contrast=contrast, image_head=by_image, text_head=by_text)
        if run.checkpoint_due():
            run.save_checkpoint(parts, done)
    run.save_checkpoint(parts, done)


def jitter(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift each image by up to 3 % and change its brightness a little, like a real crop."""
    count = images.shape[0]
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 + 0.04 * (torch.rand(count, generator=rng) - 0.5)
    theta[:, :, 2] = 0.06 * (torch.rand(count, 2, generator=rng) - 0.5)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return moved * (1 + 0.1 * (torch.rand(count, 1, 1, 1, generator=rng) - 0.5))
