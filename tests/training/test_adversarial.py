import torch

from tmsa_core.training.adversarial import (
    PATCH,
    discriminator_step,
    patch_discriminator,
    same_patch,
    sharpening_loss,
)


def pictures(seed: int) -> torch.Tensor:
    return torch.randn(4, 3, 80, 80, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)


def test_patches_are_cut_at_the_same_place():
    places = torch.arange(80 * 80.0).reshape(1, 1, 80, 80)
    rng = torch.Generator().manual_seed(0)
    a, b = same_patch((places, -places), rng)
    again, _ = same_patch((places, -places), rng)
    assert a.shape == (1, 1, PATCH, PATCH)
    assert torch.equal(a, -b)
    assert not torch.equal(a, again)


def test_equal_pictures_leave_only_the_fooling_term():
    torch.manual_seed(0)
    critic = patch_discriminator()
    (real,) = same_patch((pictures(0),), torch.Generator().manual_seed(0))
    (other,) = same_patch((pictures(1),), torch.Generator().manual_seed(0))
    with torch.no_grad():
        same, different = sharpening_loss(critic, real, real), sharpening_loss(critic, other, real)
    assert 0 < same < 0.2
    assert different > 2 * same


def test_discriminator_learns_to_tell_blurred_from_sharp():
    torch.manual_seed(0)
    critic = patch_discriminator()
    optimiser = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.0, 0.99))
    rng = torch.Generator().manual_seed(0)
    for step in range(12):
        (real,) = same_patch((pictures(step),), rng)
        blurred = torch.nn.functional.avg_pool2d(real, 5, 1, 2)
        loss = discriminator_step(critic, optimiser, blurred, real, penalise=step % 4 == 0)
    assert loss.isfinite()
    with torch.no_grad():
        assert critic(real).mean() > critic(blurred).mean()


def test_generator_is_pulled_towards_the_render():
    torch.manual_seed(0)
    critic = patch_discriminator()
    (real,) = same_patch((pictures(0),), torch.Generator().manual_seed(0))
    made = torch.zeros_like(real, requires_grad=True)
    sharpening_loss(critic, made, real).backward()
    assert made.grad is not None and made.grad.abs().sum() > 0
