import pytest
import torch

from tmsa_core.networks.e4e import Encoder, avatar_architecture

CODE = 5e-5  # between correct implementations in float32


def small(levels: int = 9) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(
        levels, w_dim=24, input_size=64, widths=[8, 8, 16, 16], units=[1, 1, 2, 1], head_width=12
    )
    return encoder.eval()


def images(batch: int = 2, side: int = 64) -> torch.Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(1)).tanh()


@torch.no_grad()
def test_codes_equal_the_original(golden):
    kept = golden("e4e")
    with torch.device("meta"):  # avoids to initialise 267 million parameters that are replaced
        encoder = Encoder(18)
    for name, buffer in list(encoder.named_buffers()):
        if name.endswith("num_batches_tracked"):
            owner, _, leaf = name.rpartition(".")
            encoder.get_submodule(owner)._buffers[leaf] = torch.zeros(
                buffer.shape, dtype=buffer.dtype
            )
    kept.fill(encoder, prefix="encoder.")
    encoder.latent_avg = torch.zeros(18, 512)
    both = torch.cat([kept.image("input/image", 256), kept.image("input/image2", 256)])
    found = encoder(both)
    assert found.shape == (2, 18, 512)
    assert (found[0] - kept.expected("codes")).abs().max() < CODE
    assert (found[1, :, ::8] - kept.expected("second")).abs().max() < CODE

    average = 0.5 * kept.normal("latent_avg", 18, 512)
    whole = (found[0] + average)[:, ::8]
    assert (whole - kept.expected("plus_average")).abs().max() < CODE


@torch.no_grad()
def test_latent_avg_is_added_but_not_saved():
    encoder, x = small(), images()
    plain = encoder(x)
    encoder.latent_avg.fill_(3.0)
    assert torch.allclose(encoder(x), plain + 3, atol=1e-5)
    assert "latent_avg" not in encoder.state_dict()


@torch.no_grad()
def test_samples_of_a_batch_are_independent():
    encoder, x = small(), images(3)
    assert torch.allclose(encoder(x)[1:2], encoder(x[1:2]), atol=1e-5)


@torch.no_grad()
def test_images_may_be_wider_than_high():
    assert small()(images()[:, :, :48]).shape == (2, 9, 24)


def test_images_of_another_size_are_resized():
    encoder = Encoder(**avatar_architecture(levels=3)).eval()
    images = torch.rand(2, 3, 128, 128) * 2 - 1
    doubled = images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    with torch.no_grad():
        assert torch.allclose(encoder(doubled), encoder(images), atol=1e-5)


def test_the_avatar_encoder_is_small_and_learns():
    encoder = Encoder(**avatar_architecture(levels=12))
    assert sum(p.numel() for p in encoder.parameters()) < 6_000_000
    codes = encoder(images(side=128))
    assert codes.shape == (2, 12, 512) and codes.isfinite().all()
    codes.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


@torch.no_grad()
@pytest.mark.parametrize(("levels", "height"), [(18, 256), (16, 192), (14, 256)])
def test_faces_cars_and_churches_have_their_own_rows_and_shapes(levels, height):
    torch.manual_seed(0)
    encoder = Encoder(levels, widths=[4, 8, 8, 8], units=[1, 1, 1, 1], head_width=8).eval()
    assert encoder(images(1, 256)[:, :, :height]).shape == (1, levels, 512)
    assert [len(head.convs) // 2 for head in encoder.styles] == [4] * 3 + [5] * 4 + [6] * (
        levels - 7
    )
