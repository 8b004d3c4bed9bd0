import torch

from tmsa_core.training.discriminator import Discriminator, minibatch_deviation


def small() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(32, channel_multiplier=0.05, channel_max=24)


def images(batch: int = 4) -> torch.Tensor:
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_one_score_per_image_and_gradients_everywhere():
    discriminator = small()
    score = discriminator(images(6))
    assert score.shape == (6, 1) and score.dtype == torch.float32
    score.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in discriminator.parameters())


def test_gradient_penalty_reaches_the_weights():
    discriminator, x = small(), images().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert discriminator.from_rgb.weight.grad.abs().sum() > 0
    assert discriminator.blocks[0].skip.weight.grad.abs().sum() > 0


def test_layers_keep_the_variance_of_their_input():
    torch.manual_seed(0)
    discriminator = Discriminator(32, channel_multiplier=0.5, channel_max=128)
    plain = torch.randn(64, 3, 1, 1).expand(-1, -1, 32, 32)  # nothing a low-pass would take away
    x = discriminator.from_rgb(plain)
    for block in discriminator.blocks:
        x = block(x)
        assert 0.2 < x.square().mean() < 3


def test_minibatch_deviation_by_hand():
    x = torch.zeros(4, 1, 2, 2)
    x[0], x[1], x[2], x[3] = 1.0, -1.0, 3.0, -3.0
    y = minibatch_deviation(x, group=4)
    assert y.shape == (4, 2, 2, 2)
    assert torch.equal(y[:, :1], x)
    assert torch.allclose(y[:, 1], torch.full((4, 2, 2), 5.0**0.5))
    alone = minibatch_deviation(x[:1], group=4)
    assert torch.allclose(alone[:, 1], torch.full((1, 2, 2), 1e-4))


def test_features_halve_down_to_the_smallest_picture_and_are_what_is_judged():
    discriminator = small()
    features = discriminator.features(images())
    assert [f.shape[-1] for f in features] == [16, 8, 4]
    assert torch.equal(discriminator.judged(features[-1]), discriminator(images()))


@torch.no_grad()
def test_bfloat16_stays_close():
    discriminator = small()
    exact = discriminator(images())
    with torch.autocast("cpu", torch.bfloat16):
        rough = discriminator(images())
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 0.05 * (1 + exact.abs().max())
