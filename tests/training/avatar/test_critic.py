import torch

from tmsa_core.training.avatar.critic import PATCH, Critic, critic_step, same_patch, sharpening_loss


def patches(seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, PATCH, PATCH, generator=rng).clamp(-1, 1)


def test_patches_of_both_batches_have_the_same_place():
    places = torch.arange(80 * 80.0).reshape(1, 1, 80, 80)
    rng = torch.Generator().manual_seed(0)
    a, b = same_patch((places, -places), rng)
    again, _ = same_patch((places, -places), rng)
    assert a.shape == (1, 1, PATCH, PATCH)
    assert torch.equal(a, -b)
    assert not torch.equal(a, again)


def test_each_verdict_depends_on_its_surroundings_only():
    torch.manual_seed(0)
    critic, real = Critic().eval(), patches(0)
    with torch.no_grad():
        before = critic(real, real)
        real[..., :8, :8] = 0  # a whole block of the coarse condition
        change = (critic(real, real) - before).abs()
    assert before.shape == (4, 1, PATCH // 4, PATCH // 4)
    assert change[..., 0, 0].min() > 0
    assert change[..., 8:, 8:].max() == 0


def test_equal_images_have_no_matching_loss():
    torch.manual_seed(0)
    critic, real = Critic().eval(), patches(0)
    with torch.no_grad():
        same, different = (sharpening_loss(critic, made, real) for made in (real, patches(1)))
        verdict = critic(real, real).mean()
    assert abs(same + 0.05 * verdict) < 2e-3
    assert different > same + 0.05


def test_the_critic_learns_to_detect_blur():
    torch.manual_seed(0)
    critic = Critic()
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
    losses = []
    for step in range(30):
        real = patches(step)
        blurred = torch.nn.functional.avg_pool2d(real, 5, 1, 2)
        losses.append(float(critic_step(critic, optimiser, blurred, real)))
    assert losses[-1] < 0.8 * losses[0]
    with torch.no_grad():
        assert critic(real, real).mean() > critic(blurred, real).mean()


def test_the_sharpening_loss_has_a_gradient():
    torch.manual_seed(0)
    critic, real = Critic(), patches(0)
    made = torch.zeros_like(real, requires_grad=True)
    sharpening_loss(critic, made, real).backward()
    assert made.grad is not None and made.grad.abs().sum() > 0
