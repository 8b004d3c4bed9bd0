"""The avatar identity network: ArcFace (Deng et al. 2019) on people drawn in many looks.

Each person is a class. Looks (age, gender presentation, hair, glasses, expression ...) vary within
a class, so the embedding learns to ignore them. The class centres are not learnt but known: the
person's proportions and eye colour in an orthonormal basis. The cosine of two embeddings therefore
measures how similar two people are, and few images suffice.
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
from tmsa_core.training.run import Options, Run, decayed_rate, set_rate, update_average

ARCHITECTURE = avatar_architecture() | {"dropout": 0.2}
IMAGES = 120_000
BATCH = 96
SCALE = 24.0  # s of ArcFace
MARGIN = 0.2  # m of ArcFace, in radians; reached after a third of the training


def identity_codes(portraits: Portraits) -> Tensor:
    """Unit vectors (B,512) that depend on the person only and not on their look."""
    x = features(portraits)
    names = [*TRAITS, *(n for n, a in ATTRIBUTES.items() for _ in a.options)]
    kept = torch.tensor([n in IDENTITY_TRAITS or n in IDENTITY_ATTRIBUTES for n in names])
    return F.normalize((x * kept) @ basis(), dim=1)


def arcface_loss(embedding: Tensor, centres: Tensor, person: Tensor, margin: float) -> Tensor:
    """Additive angular margin loss (Deng et al. 2019, equation 3).

    Args:
        embedding: Unit vectors (B,512).
        centres: Class centres (P,512).
        person: Class numbers (B,).
        margin: Angle in radians that is added to the angle of the right class.

    Returns:
        A scalar.
    """
    cosine = embedding @ F.normalize(centres, dim=1).T
    right = cosine.gather(1, person[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
    with_margin = torch.cos(torch.acos(right) + margin)
    logits = SCALE * cosine.scatter(1, person[:, None], with_margin)
    return F.cross_entropy(logits, person)


def train_identity(options: Options) -> None:
    """Train the identity network; resumes from its last checkpoint."""
    run, device = Run("identity", options, IMAGES), options.device
    torch.manual_seed(options.seed + 3)  # for the initial weights and for dropout
    pool = open_pool(options.work / "renders")
    model, average = (IdentityNet(**ARCHITECTURE).to(device) for _ in range(2))
    average.load_state_dict(model.state_dict())
    centres = identity_codes(pool.portraits[::LOOKS]).to(device)
    optimiser = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    stateful = {"model": model, "average": average, "optimiser": optimiser}
    done = run.resume(stateful)
    rng = run.rng_at(done)
    batches, step = pool.batches(BATCH, rng), 0
    while run.should_continue(done):
        # 1. Read renders and shift them a little, as alignment does.
        index = next(batches)
        images = jitter(pool.images(index), rng).to(device)
        # 2. Embed them.
        with torch.autocast(images.device.type, torch.bfloat16):
            embedding = model(images).float()
        # 3. Compare with the known class centres; the margin grows.
        person = pool.person(index).to(device)
        margin = MARGIN * min(1.0, 3 * (done / IMAGES))
        loss = arcface_loss(embedding, centres, person, margin)
        # 4. Update the network and its average.
        set_rate(optimiser, decayed_rate(2e-3, 5000, done, IMAGES))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        update_average(average, model, decay=0.995)
        done += BATCH
        step += 1
        # 5. Log, and save a checkpoint from time to time.
        if step % 50 == 0:
            cosine = (embedding * centres[person]).sum(dim=1).mean()
            run.log(done, loss=loss, cosine=cosine)
        if run.checkpoint_due():
            run.save_checkpoint(stateful, done)
    run.save_checkpoint(stateful, done)
