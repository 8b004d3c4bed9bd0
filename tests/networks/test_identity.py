import torch
import torch.nn.functional as F

from tmsa_core.networks.identity import IdentityNet, avatar_architecture

EMBEDDING = 1e-5  # between correct implementations in float32


def images(batch: int, side: int) -> torch.Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(1)).tanh()


@torch.no_grad()
def test_embeddings_equal_the_original(golden):
    kept = golden("arcface")
    network = kept.fill(IdentityNet())
    first, second = kept.image("input/image256", 256), kept.image("input/image256b", 256)
    found = network(torch.cat([first, second]))
    assert (found[0] - kept.expected("e4e256")).abs().max() < EMBEDDING
    assert (found[1] - kept.expected("e4e256b")).abs().max() < EMBEDDING
    large = network(kept.image("input/image1024", 1024))
    assert (large[0] - kept.expected("pool1024")).abs().max() < EMBEDDING


def test_crop_of_a_256_pixel_image():
    x = images(1, 256)
    network = IdentityNet(widths=[8, 8, 8, 8], units=[1, 1, 1, 1])
    expected = F.adaptive_avg_pool2d(x[:, :, 35:223, 32:220], (112, 112))
    assert torch.equal(network.crop(x), expected)
    large = F.interpolate(x, scale_factor=4)  # averages back to the same image
    assert torch.allclose(network.crop(large), expected, atol=1e-6)


def test_the_avatar_network_gives_unit_vectors_and_learns():
    torch.manual_seed(0)
    network = IdentityNet(**avatar_architecture())
    x = images(4, 128)
    embedding = network(x)
    assert embedding.shape == (4, 512)
    assert torch.allclose(embedding.norm(dim=1), torch.ones(4), atol=1e-5)
    (embedding[0] @ embedding[1]).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@torch.no_grad()
def test_evaluation_is_repeatable_and_samples_are_independent():
    torch.manual_seed(0)
    network = IdentityNet(**avatar_architecture()).eval()
    x = images(3, 128)
    assert torch.equal(network(x), network(x))
    assert torch.allclose(network(x)[1:2], network(x[1:2]), atol=1e-5)
