import pytest
import torch

from tmsa_core.networks.stylegan2 import Generator, channels_at, fir_kernel

IMAGE, CODE = 5e-5, 1e-5  # between correct implementations in float32


@pytest.fixture(scope="module")
def ffhq(golden):
    """The 1024-pixel generator with synthetic weights, and its golden."""
    kept = golden("stylegan2")
    return kept.fill(Generator(1024)), kept


def small(seed: int = 0, resolution: int = 32) -> Generator:
    """A generator of few channels with noticeable noise and biases."""
    torch.manual_seed(seed)
    generator = Generator(resolution, channel_multiplier=0.05, channel_max=24, mapping_layers=2)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith(("noise.weight", "activate.bias", "to_rgb1.bias")):
                parameter.normal_(0, 0.3)
    return generator.eval()


def codes(generator: Generator, batch: int = 2, seed: int = 1) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(batch, generator.levels, generator.w_dim, generator=rng)


@torch.no_grad()
def test_images_equal_the_original(ffhq):
    generator, kept = ffhq
    w_plus = torch.cat(
        [kept.normal("input/wplus", 1, 18, 512), kept.normal("input/wplus2", 1, 18, 512)]
    )
    images = generator.synthesise(w_plus)
    assert images.shape == (2, 3, 1024, 1024)
    for image, index, name in ((images[:1], "image", "image"), (images[1:], "batch2", "second")):
        expected = kept.expected(name)
        assert (kept.sample(image, index, len(expected)) - expected).abs().max() < IMAGE


@torch.no_grad()
def test_edited_styles_equal_the_original(ffhq):
    generator, kept = ffhq
    styles = generator.to_styles(kept.normal("input/wplus", 1, 18, 512))
    layers = kept.meta["layers"]
    assert [style.shape[1] for style in styles] == [size for _, size in layers]
    assert (torch.cat(styles, dim=1)[0] - kept.expected("styles")).abs().max() < CODE
    names = [name for name, _ in layers]
    for edit in kept.meta["edit"]:
        styles[names.index(edit["layer"])][:, edit["channel"]] += edit["add"]
    expected = kept.expected("edited")
    image = generator.synthesise_styles(styles)
    assert (kept.sample(image, "sedit", len(expected)) - expected).abs().max() < IMAGE


@torch.no_grad()
def test_mapping_and_truncation_equal_the_original(ffhq):
    generator, kept = ffhq
    z = kept.normal("input/z", 2, 512)
    assert (generator.map(z) - kept.expected("w")).abs().max() < CODE
    centre = 0.5 * kept.normal("input/truncation_latent", 1, 512)
    w = generator.map(z[:1], truncation_psi=0.7, truncation_latent=centre)
    assert (w[0] - kept.expected("truncated_w")).abs().max() < CODE
    assert torch.equal(generator.broadcast(w), w[:, None].repeat(1, 18, 1))


def test_the_filters_of_a_new_network_are_the_public_ones():
    assert torch.allclose(fir_kernel(4.0).sum(), torch.tensor(4.0))
    assert fir_kernel(4.0).max() == 0.5625
    state = small().state_dict()
    assert torch.equal(state["convs.0.conv.blur.kernel"], fir_kernel(4.0))
    assert torch.equal(state["to_rgbs.0.upsample.kernel"], fir_kernel(4.0))


def test_channels():
    sides = [2**i for i in range(2, 11)]
    public = [512, 512, 512, 512, 512, 256, 128, 64, 32]
    assert [channels_at(side, 2, 512) for side in sides] == public
    assert channels_at(128, 0.25, 192) == 32 and channels_at(8, 0.25, 192) == 192


def test_a_batch_equals_its_samples_one_by_one():
    generator = small()
    w_plus = codes(generator, batch=3)
    with torch.no_grad():
        together = generator.synthesise(w_plus)
        alone = torch.cat([generator.synthesise(row[None]) for row in w_plus])
    assert together.shape == (3, 3, 32, 32) and together.isfinite().all()
    assert torch.allclose(together, alone, atol=1e-5)


def test_each_row_moves_only_the_resolutions_from_its_own_on():
    generator = small()
    w_plus = codes(generator, batch=1)
    moved = w_plus.clone()
    moved[:, 5] += 1  # the up-convolution to 32, and the RGB layer of 16
    with torch.no_grad():
        for side, differs in ((8, False), (16, True), (32, True)):
            a, b = (generator.synthesise(w, up_to=side) for w in (w_plus, moved))
            assert a.shape == (1, 3, side, side)
            assert torch.equal(a, b) is not differs


def test_up_to_rejects_other_sides():
    generator = small()
    with pytest.raises(ValueError, match="up_to"):
        generator.synthesise(codes(generator), up_to=64)


def test_codes_of_the_wrong_shape_are_refused():
    generator = small()
    with pytest.raises(ValueError, match="w_plus"):
        generator.synthesise(torch.zeros(2, 512))
    with pytest.raises(ValueError, match="power of two"):
        Generator(100)


@torch.no_grad()
def test_noise_is_fixed_unless_asked_for():
    generator = small()
    w_plus = codes(generator, batch=2)
    fixed = generator.synthesise(w_plus)
    assert torch.equal(fixed, generator.synthesise(w_plus))
    none = generator.synthesise(w_plus, noise="none")
    assert not torch.allclose(fixed, none)

    def random(seed: int) -> torch.Tensor:
        rng = torch.Generator().manual_seed(seed)
        return generator.synthesise(w_plus, noise="random", generator=rng)

    assert torch.equal(random(0), random(0))
    assert not torch.allclose(random(0), random(1))
    with pytest.raises(ValueError, match="noise"):
        generator.synthesise(w_plus, noise="loud")


@torch.no_grad()
def test_features_enter_between_the_two_convolutions():
    generator = small()
    w_plus, width = codes(generator, batch=2), channels_at(16, 0.05, 24)
    plain = generator.synthesise(w_plus)
    zero = torch.zeros(2, width, 16, 16)
    assert torch.equal(generator.synthesise(w_plus, features={16: (zero, zero)}), plain)
    injected = generator.synthesise(w_plus, features={16: (zero, zero + 0.5)})
    assert not torch.allclose(injected, plain)
    before = generator.synthesise(w_plus, features={16: (zero, zero + 0.5)}, up_to=8)
    assert torch.equal(before, generator.synthesise(w_plus, up_to=8))


@torch.no_grad()
def test_scaling_features_by_minus_one_removes_all_earlier_features():
    generator = small()
    width = channels_at(16, 0.05, 24)
    minus, zero = torch.full((1, width, 16, 16), -1.0), torch.zeros(1, width, 16, 16)
    a, b = codes(generator, 1, seed=1), codes(generator, 1, seed=2)
    b[:, 6:] = a[:, 6:]  # rows that are used after the injection at 16
    images = [generator.synthesise(w, features={16: (minus, zero)}) for w in (a, b)]
    rgb = [generator.synthesise(w, up_to=8) for w in (a, b)]
    assert not torch.allclose(*rgb)  # the skip images still differ ...
    b[:, :6] = a[:, :6]
    assert torch.equal(images[0], generator.synthesise(b, features={16: (minus, zero)}))


@torch.no_grad()
def test_truncation_pulls_to_latent_avg():
    generator = small()
    generator.latent_avg.fill_(2.0)
    z = torch.randn(2, 512, generator=torch.Generator().manual_seed(0))
    w = generator.map(z)
    assert torch.allclose(generator.map(z, truncation_psi=0.5), 2 + 0.5 * (w - 2))
    assert torch.allclose(generator.map(z, truncation_psi=0.0), torch.full_like(w, 2.0))
    assert "latent_avg" not in generator.state_dict()


def reference(generator: Generator, w_plus: torch.Tensor) -> torch.Tensor:
    """The same network without tricks: every sample convolved with its own weights."""
    conv2d, transposed = torch.nn.functional.conv2d, torch.nn.functional.conv_transpose2d
    kernel, images = fir_kernel(4.0)[None, None], []
    for rows in w_plus:
        x, image, row = generator.input.input, None, 0
        layers = [generator.conv1, *generator.convs]
        for i, layer in enumerate(layers):
            weight = layer.conv.weight[0] * layer.conv.scale
            weight = weight * layer.conv.modulation(rows[i])[None, :, None, None]
            weight = weight * (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).rsqrt()
            if layer.conv.up:
                x = transposed(x, weight.transpose(0, 1), stride=2)
                x = conv2d(x.transpose(0, 1), kernel, padding=1).transpose(0, 1)
            else:
                x = conv2d(x, weight, padding=1)
            noise = getattr(generator.noises, f"noise_{i}")
            x = x + noise * layer.noise.weight + layer.activate.bias[None, :, None, None]
            x = torch.nn.functional.leaky_relu(x, 0.2) * 2**0.5
            if i % 2 == 0:
                to_rgb = [generator.to_rgb1, *generator.to_rgbs][i // 2]
                row = i + 1
                weight = to_rgb.conv.weight[0] * to_rgb.conv.scale
                weight = weight * to_rgb.conv.modulation(rows[row])[None, :, None, None]
                rgb = conv2d(x, weight) + to_rgb.bias
                if image is not None:
                    wide = transposed(image.transpose(0, 1), kernel, stride=2, padding=1)
                    rgb = rgb + wide.transpose(0, 1)
                image = rgb
        images.append(image)
    return torch.cat(images)


def test_values_and_gradients_equal_those_of_per_sample_weights():
    generator = small(resolution=16)
    w_plus = codes(generator, batch=2).requires_grad_()
    target = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    found, expected = generator.synthesise(w_plus), reference(generator, w_plus)
    assert torch.allclose(found, expected, atol=1e-5)
    synthesis = {n: p for n, p in generator.named_parameters() if not n.startswith("style.")}
    inputs = [w_plus, *synthesis.values()]
    gradients = [
        torch.autograd.grad((images * target).sum(), inputs) for images in (found, expected)
    ]
    for name, a, b in zip(["w_plus", *synthesis], *gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4 * b.abs().max().item() + 1e-6), name


def test_a_frozen_generator_still_passes_gradients_to_codes():
    generator = small().requires_grad_(False)
    w_plus = codes(generator).requires_grad_()
    generator.synthesise(w_plus, noise="none").square().mean().backward()
    assert w_plus.grad is not None and w_plus.grad.abs().amax(dim=(0, 2)).min() > 0


@pytest.mark.parametrize("side", [8, 16, 32])
def test_redraw_equals_synthesis_with_features(side):
    torch.manual_seed(0)
    generator = Generator(32, w_dim=16, channel_max=8, mapping_layers=1).eval()
    w_plus = torch.randn(2, generator.levels, 16)
    change = (torch.randn(2, 8, side, side), torch.randn(2, 8, side, side))
    with torch.inference_mode():
        plain, redraw = generator.synthesise_with_redraw(w_plus, side)
        assert torch.equal(plain, generator.synthesise(w_plus))
        changed = generator.synthesise(w_plus, features={side: change})
        assert torch.equal(redraw(change), changed) and not torch.equal(plain, changed)
        assert torch.equal(redraw(change), changed)  # redraw leaves its inputs unchanged
        small, redraw = generator.synthesise_with_redraw(w_plus, side, up_to=side)
        assert torch.equal(small, generator.synthesise(w_plus, up_to=side))
        assert torch.equal(redraw(change), changed)
