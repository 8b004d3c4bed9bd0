import torch

from tmsa_core.networks.tmsa import LevelLinear, Mapper


def small_mapper(hidden: tuple[int, ...] = (8,)) -> Mapper:
    torch.manual_seed(0)
    return Mapper(levels=3, hidden=hidden, clip_dim=6, w_dim=4).eval()


def test_every_level_is_a_network_of_its_own():
    layer = LevelLinear(levels=2, inputs=3, outputs=5)
    x = torch.randn(2, 4, 3)
    y = layer(x)
    assert y.shape == (2, 4, 5)
    for level in range(2):
        expected = x[level] @ layer.weight[level] + layer.bias[level]
        assert torch.allclose(y[level], expected, atol=1e-6)


def test_output_shape_and_batch_independence():
    mapper, e = small_mapper(), torch.randn(5, 6)
    w_plus = mapper(e)
    assert w_plus.shape == (5, 3, 4)
    assert torch.allclose(w_plus[2:3], mapper(e[2:3]), atol=1e-6)


def test_length_of_the_embedding_does_not_matter():
    mapper, e = small_mapper(), torch.randn(2, 6)
    assert torch.allclose(mapper(e), mapper(7 * e), atol=1e-5)


def test_linear_mapper_is_affine():
    mapper = small_mapper(hidden=())
    a, b = torch.nn.functional.normalize(torch.randn(2, 6), dim=1).split(1)
    middle = mapper.from_point((a + b) / 2)
    assert torch.allclose(middle, (mapper.from_point(a) + mapper.from_point(b)) / 2, atol=1e-5)


def test_text_is_moved_across_the_gap():
    mapper, e = small_mapper(), torch.randn(2, 6)
    assert torch.allclose(mapper.from_text(e), mapper(e), atol=1e-6)
    mapper.gap.fill_(0.3)
    assert not torch.allclose(mapper.from_text(e), mapper(e), atol=1e-3)


def test_hidden_layers_at_zero_leave_the_linear_path():
    mapper, e = small_mapper(), torch.randn(3, 6)
    mapper.layers[-1].weight.data.zero_()
    x = torch.nn.functional.normalize(e, dim=1) / mapper.clip_spread
    expected = torch.einsum("bi,lio->blo", x, mapper.linear.weight)
    assert torch.allclose(mapper(e), expected, atol=1e-5)


def test_mean_code_is_added():
    mapper, e = small_mapper(), torch.randn(2, 6)
    before = mapper(e)
    mapper.latent_avg += 2
    assert torch.allclose(mapper(e), before + 2, atol=1e-5)
