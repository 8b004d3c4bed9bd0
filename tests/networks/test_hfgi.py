import pytest
import torch
import torch.nn.functional as F

from tests.synthetic_checkpoints import network_state
from tmsa_core.networks.hfgi import HFGI, avatar_architecture, changed
from tmsa_core.networks.stylegan2 import Generator

NARROW = {
    "channels": 8,
    "aligner_widths": [4, 6, 8, 10],
    "residual_widths": [6, 8, 10],
    "units": 3,
}


def generator(resolution: int = 128) -> Generator:
    """A generator of eight channels at 64 pixels, with noticeable noise and biases."""
    torch.manual_seed(0)
    network = Generator(resolution, channel_multiplier=1 / 32, channel_max=8, mapping_layers=1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("noise.weight", "activate.bias")):
                parameter.normal_(0, 0.3)
    return network.eval()


def hfgi(**changes: object) -> HFGI:
    """Weights made from names, as strong as those of the recorded networks."""
    network = HFGI(**NARROW | changes)
    network.load_state_dict(network_state("hfgi", NARROW | changes, "hfgi/"))
    return network.eval()


def codes(network: Generator, seed: int, batch: int = 2) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(batch, network.levels, 512, generator=rng)


def random_images(side: int, height: int | None = None, batch: int = 2) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    coarse = torch.randn(batch, 3, 9, 9, generator=rng)
    return F.interpolate(coarse, (height or side, side), mode="bilinear").tanh()


def test_the_public_network_has_the_published_size():
    with torch.device("meta"):
        network = HFGI()
    assert sum(p.numel() for p in network.grid_align.parameters()) == 596_801
    assert sum(p.numel() for p in network.residue.parameters()) == 5_647_344
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["grid_align.conv_layer1.0.weight"] == (16, 6, 3, 3)
    assert shapes["grid_align.conv_layer4.0.shortcut_layer.0.weight"] == (64, 48, 1, 1)
    assert shapes["grid_align.dconv_layer1.0.res_layer.1.weight"] == (64, 112, 3, 3)
    assert shapes["grid_align.dconv_layer3.2.res_layer.4.running_var"] == (3,)
    assert shapes["residue.conv_layer2.2.res_layer.2.weight"] == (48,)
    assert shapes["residue.condition_scale3.0.weight"] == (512, 64, 3, 3)
    assert shapes["residue.condition_shift3.2.bias"] == (512,)
    assert {key.split(".")[1] for key in shapes} == {
        *(f"conv_layer{i}" for i in (1, 2, 3, 4)),
        *(f"dconv_layer{i}" for i in (1, 2, 3)),
        "condition_scale3",
        "condition_shift3",
    }


class Reference:
    """The paper's two networks, written as functions of a state dict."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = state

    def norm(self, x: torch.Tensor, key: str) -> torch.Tensor:
        values = (self.state[f"{key}.{n}"] for n in ("running_mean", "running_var"))
        weight, bias = self.state[f"{key}.weight"], self.state[f"{key}.bias"]
        return F.batch_norm(x, *values, weight, bias, eps=1e-5)

    def conv(self, x: torch.Tensor, key: str, stride: int = 1) -> torch.Tensor:
        weight = self.state[f"{key}.weight"]
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def stem(self, x: torch.Tensor, key: str) -> torch.Tensor:
        x = self.norm(self.conv(x, f"{key}.0"), f"{key}.1")
        return F.prelu(x, self.state[f"{key}.2.weight"])

    def unit(self, x: torch.Tensor, key: str, stride: int) -> torch.Tensor:
        shortcut = x[:, :, ::stride, ::stride]
        if f"{key}.shortcut_layer.0.weight" in self.state:
            shortcut = self.conv(x, f"{key}.shortcut_layer.0", stride)
            shortcut = self.norm(shortcut, f"{key}.shortcut_layer.1")
        x = self.conv(self.norm(x, f"{key}.res_layer.0"), f"{key}.res_layer.1")
        x = F.prelu(x, self.state[f"{key}.res_layer.2.weight"])
        return shortcut + self.norm(
            self.conv(x, f"{key}.res_layer.3", stride), f"{key}.res_layer.4"
        )

    def layer(self, x: torch.Tensor, key: str, stride: int = 1) -> torch.Tensor:
        for i in range(3):
            x = self.unit(x, f"{key}.{i}", stride if i == 0 else 1)
        return x

    def align(self, residual: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        f1 = self.stem(torch.cat([residual, image], 1), "grid_align.conv_layer1")
        f2 = self.layer(f1, "grid_align.conv_layer2", 2)
        f3 = self.layer(f2, "grid_align.conv_layer3", 2)
        x = self.layer(f3, "grid_align.conv_layer4", 2)
        for i, (side, skip) in enumerate(((64, f3), (128, f2), (256, f1)), start=1):
            x = F.interpolate(x, (side, side), mode="bilinear", align_corners=False)
            x = self.layer(torch.cat([x, skip], 1), f"grid_align.dconv_layer{i}")
        return x

    def equal_conv(self, x: torch.Tensor, key: str) -> torch.Tensor:
        weight, bias = self.state[f"{key}.weight"], self.state[f"{key}.bias"]
        return F.conv2d(x, weight / (weight[0].numel() ** 0.5), bias, padding=1)

    def conditions(self, aligned: torch.Tensor) -> list[torch.Tensor]:
        x = self.layer(self.stem(aligned, "residue.conv_layer1"), "residue.conv_layer2", 2)
        x = self.layer(x, "residue.conv_layer3", 2)
        found = []
        for name in ("residue.condition_scale3", "residue.condition_shift3"):
            y = F.leaky_relu(self.equal_conv(x, f"{name}.0"), 0.2) * 2**0.5
            found.append(self.equal_conv(y, f"{name}.2"))
        return found


def small(image: torch.Tensor) -> torch.Tensor:
    """Clamped, then reduced to 256 by the mean of the two middle pixels of each step."""
    image, step = image.clamp(-1, 1), image.shape[-1] // 256
    for axis in (2, 3) if step > 1 else ():
        middle = image.unfold(axis, step, step)[..., step // 2 - 1 : step // 2 + 1]
        image = middle.mean(dim=-1)
    return image


@torch.no_grad()
@pytest.mark.parametrize("resolution", [256, 1024])
def test_both_passes_equal_their_description(resolution):
    network, drawing = hfgi(), generator(resolution)
    w_plus, w_edit, images = codes(drawing, 1, 1), codes(drawing, 2, 1), random_images(256, batch=1)
    reference = Reference(network.state_dict())
    residual = images - small(drawing.synthesise(w_plus))
    aligned = reference.align(residual, small(drawing.synthesise(w_edit)))
    scale, shift = reference.conditions(aligned)
    expected = drawing.synthesise(w_edit, features={64: (scale, shift)})
    assert scale.std() > 0.1 and shift.std() > 0.1
    found = network(drawing, images, w_plus, w_edit)
    assert found.shape == (1, 3, resolution, resolution)
    assert (found - expected).abs().max() < 5e-5
    plain = drawing.synthesise(w_edit)
    assert (found - plain).abs().mean() > 0.05


@torch.no_grad()
def test_without_conditions_it_is_plain_synthesis():
    network, drawing = hfgi(), generator()
    for branch in (network.residue.condition_scale3, network.residue.condition_shift3):
        branch[-1].weight.zero_()
        branch[-1].bias.zero_()
    w_plus, w_edit = codes(drawing, 1), codes(drawing, 2)
    found = network(drawing, random_images(256), w_plus, w_edit)
    assert torch.equal(found, drawing.synthesise(w_edit))


@torch.no_grad()
def test_editing_in_two_steps_equals_one():
    network, drawing = hfgi(), generator()
    w_plus, w_edit, images = codes(drawing, 1), codes(drawing, 2), random_images(256)
    residual = network.residual(drawing, images, w_plus)
    assert torch.equal(
        network.fuse(drawing, residual, w_edit), network(drawing, images, w_plus, w_edit)
    )


def test_an_edit_takes_away_the_details_of_what_it_changes():
    """Hair that the inversion misses in part goes as a whole; details elsewhere stay."""
    difference, residual = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    difference[..., :16, :] = 0.8  # the edit changes the upper quarter
    residual[..., :20, :] = 0.6  # and four more rows below belong to the same hair
    residual[..., 40:48, :] = 0.6  # a collar that the edit leaves alone
    change = changed(difference, residual)[0, 0]
    assert change[:19].min() > 0.9 and change[24:].max() == 0


@torch.no_grad()
def test_nothing_is_taken_away_without_an_edit():
    network, drawing = hfgi(), generator()
    w_plus = codes(drawing, 1)
    images = (drawing.synthesise(w_plus) + random_images(drawing.resolution)).clamp(-1, 1)
    residual = network.residual(drawing, images, w_plus)
    kept = network.fuse(drawing, residual, w_plus, images=images)
    assert torch.allclose(kept, network.fuse(drawing, residual, w_plus), atol=1e-4)


@torch.no_grad()
def test_a_preview_of_lower_resolution_is_that_of_a_generator_that_ends_there():
    small, large = generator(128), generator(256)
    large.load_state_dict({**large.state_dict(), **small.state_dict()})
    plain, grown = hfgi(), hfgi(preview=128)
    w_plus, images = codes(large, 1), random_images(128)
    with torch.inference_mode():
        residual = grown.residual(large, images, w_plus)
        assert torch.equal(residual, plain.residual(small, images, w_plus[:, :12]))
        preview = plain.downscale(small.synthesise(w_plus[:, :12]))
        change = {grown.side: plain.conditions(residual, preview)}
        assert torch.equal(
            grown.fuse(large, residual, w_plus), large.synthesise(w_plus, features=change)
        )


def test_samples_of_a_batch_are_independent():
    network, drawing = hfgi(), generator()
    w_plus, images = codes(drawing, 1), random_images(256)
    together = network(drawing, images, w_plus, w_plus)
    alone = network(drawing, images[1:], w_plus[1:], w_plus[1:])
    assert torch.allclose(together[1:], alone, atol=1e-4)


@torch.no_grad()
def test_wide_images_cover_the_middle_rows():
    network, drawing = hfgi(), generator(256)
    w_plus, images = codes(drawing, 1), random_images(256, height=192)
    residual = network.residual(drawing, images, w_plus)
    assert residual.shape == (2, 3, 256, 256)
    assert not residual[:, :, :32].any() and not residual[:, :, 224:].any()
    first = drawing.synthesise(w_plus).clamp(-1, 1)
    assert torch.allclose(residual[:, :, 32:224], images - first[:, :, 32:224])


def test_the_avatar_networks_are_small_and_learn():
    torch.manual_seed(0)
    network, drawing = HFGI(**avatar_architecture(channels=8)), generator().requires_grad_(False)
    assert sum(p.numel() for p in network.parameters()) < 1_500_000
    w_plus = codes(drawing, 1)
    made = network(drawing, random_images(128), w_plus, w_plus)
    assert made.shape == (2, 3, 128, 128)
    made.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.grid_align.conv_layer1[0].weight.grad.abs().sum() > 0
