"""The avatar identity network: ArcFace on people drawn in many looks.

A person is a class; looks (age, gender presentation, hair, glasses, expression ...) differ
within it, so the embedding keeps to what they do not change. The centre of a class is not learnt
but known: the person's proportions and eye colour, spelt on an orthonormal basis. So the cosine of
two embeddings means how alike two people are, and few images are enough.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tmsa_core.avatars.params import (
    ATTRIBUTES,
    IDENTITY_ATTRIBUTES,
    IDENTITY_TRAITS,
    TRAITS,
    Portraits,
)
from tmsa_core.networks.identity import IdentityNet, avatar_architecture
from tmsa_core.training.avatar.clip import jitter
from tmsa_core.training.avatar.renders import LOOKS, open_pool
from tmsa_core.training.avatar.w_codes import basis, features
from tmsa_core.training.run import Options, Run, set_rate, update_average

ARCHITECTURE = avatar_architecture() | {"dropout": 0.2}
IMAGES = 120_000
BATCH = 96
SCALE = 24.0
MARGIN = 0.2


def identity_codes(portraits: Portraits) -> Tensor:
    """(B,512) unit vectors that spell who somebody is, and nothing of how they look today."""
    x = features(portraits)
    names = [*TRAITS, *(n for n, a in ATTRIBUTES.items() for _ in a.options)]
    kept = torch.tensor([n in IDENTITY_TRAITS or n in IDENTITY_ATTRIBUTES for n in names])
    return F.normalize((x * kept) @ basis(), dim=1)


def arcface_loss(embedding: Tensor, centres: Tensor, person: Tensor, margin: float) -> Tensor:
    """Additive angular margin (Deng et al. 2019, equation 3). -> scalar

    embedding (B,512) unit vectors, centres (P,512), person (B,) class numbers. The right class
    competes with ``margin`` added to its angle.
    """
    cosine = embedding @ F.normalize(centres, dim=1).T
    right = cosine.gather(1, person[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
    with_margin = torch.cos(torch.acos(right) + margin)
    logits = SCALE * cosine.scatter(1, person[:, None], with_margin)
    return F.cross_entropy(logits, person)


def train_identity(options: Options) -> None:
    """Train the identity network; resumes from its last checkpoint."""
    run, device = Run("identity", options, IMAGES), options.device
    torch.manual_seed(options.seed + 3)
    pool = open_pool(options.work / "renders")
    model, average = (IdentityNet(**ARCHITECTURE).to(device) for _ in range(2))
    average.load_state_dict(model.state_dict())
    centres = identity_codes(pool.portraits[::LOOKS]).to(device)
    optimiser = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    parts = {"model": model, "average": average, "optimiser": optimiser}
    done = run.resume(parts)
    rng = torch.Generator().manual_seed(options.seed * 1_000_003 + done)
    batches, step = pool.batches(BATCH, rng), 0
    while run.should_continue(done):
        index = next(batches)
        share = done / IMAGES
        set_rate(optimiser, 2e-3 * min(1.0, done / 5000 + 0.05) * (1 - share) + 1e-5)
        images = jitter(pool.images(index), rng).to(device)
        with torch.autocast(images.device.type, torch.bfloat16):
            embedding = model(images).float()
        person = pool.person(index).to(device)
        loss = arcface_loss(embedding, centres, person, MARGIN * min(1.0, 3 * share))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        update_average(average, model, decay=0.995)
        done += BATCH
        step += 1
        if step % 50 == 0:
            cosine = (embedding * centres[person]).sum(dim=1).mean()
            run.log(done, loss=loss, cosine=cosine)
        if run.checkpoint_due():
            run.save_checkpoint(parts, done)
    run.save_checkpoint(parts, done)
