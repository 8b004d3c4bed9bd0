import torch
import torch.nn.functional as F

from tmsa_core.networks.fused_ops import (
    blur,
    channelwise_prelu,
    mix_channels,
    scale,
    scale_shift_activate,
)


def tensors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=rng).requires_grad_() for shape in shapes]


def check(found, expected, inputs) -> None:
    """Equal values and equal gradients."""
    assert torch.allclose(found, expected, atol=1e-5)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    gradients = [
        torch.autograd.grad((y * weights).sum(), inputs, allow_unused=True)
        for y in (found, expected)
    ]
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)


def test_scale():
    x, style = inputs = tensors((2, 5, 4, 3), (2, 5))
    check(scale(x, style), x * style[:, :, None, None], inputs)


def test_scale_shift_activate_with_shared_and_own_noise():
    for maps in (1, 2):
        x, gain, bias, strength, noise = tensors((2, 5, 4, 4), (2, 5), (5,), (1,), (maps, 1, 4, 4))
        noise = noise.detach()
        plain = x * gain[:, :, None, None] + noise * strength + bias[None, :, None, None]
        found = scale_shift_activate(x, gain, bias, strength, noise)
        check(found, F.leaky_relu(plain, 0.2), [x, gain, bias, strength])


def test_scale_shift_activate_without_noise():
    x, gain, bias, strength = tensors((2, 5, 4, 4), (2, 5), (5,), (1,))
    plain = x * gain[:, :, None, None] + bias[None, :, None, None]
    found = scale_shift_activate(x, gain, bias, strength, None)
    check(found, F.leaky_relu(plain, 0.2), [x, gain, bias])


def test_channelwise_prelu_is_prelu():
    x, slopes = inputs = tensors((2, 5, 4, 3), (5,))
    check(channelwise_prelu(x, slopes), F.prelu(x, slopes), inputs)


def test_blur_filters_each_channel_and_its_gradient_is_the_transpose():
    x, kernel = tensors((2, 5, 9, 9), (4, 4))
    kernel = kernel.detach()  # not symmetric, so that a wrong flip would show
    plain = F.conv2d(x.flatten(0, 1)[:, None], kernel[None, None], padding=1).view(2, 5, 8, 8)
    check(blur(x, kernel), plain, [x])


def test_mix_channels_is_a_convolution_of_its_own_for_each_sample():
    x, matrix = inputs = tensors((2, 5, 4, 3), (2, 5, 3))
    check(mix_channels(x, matrix), torch.einsum("bchw,bck->bkhw", x, matrix), inputs)
