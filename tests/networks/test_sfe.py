import pytest
import torch
import torch.nn.functional as F

from tests.networks.test_hfgi import codes, generator, random_images
from tests.synthetic_checkpoints import network_state
from tmsa_core.networks.sfe import SFE, avatar_architecture
from tmsa_core.networks.stylegan2 import Generator

NARROW = {
    "levels": 12,
    "channels": 8,
    "widths": [4, 6, 8, 10],
    "units": [2, 1, 2, 1],
    "blocks": 2,
}


def sfe(**changes: object) -> SFE:
    """Weights made from names, as strong as those of the recorded networks."""
    network = SFE(**NARROW | changes)
    network.load_state_dict(network_state("sfe", NARROW | changes, "sfe/"))
    return network.eval()


def centred(resolution: int = 128) -> Generator:
    drawing = generator(resolution)
    drawing.latent_avg = torch.randn(512, generator=torch.Generator().manual_seed(9))
    return drawing


def test_the_public_networks_have_the_published_sizes():
    with torch.device("meta"):
        network = SFE()
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in (
        ("backbone", network.inverter.fs_backbone),
        ("heads", network.inverter.fs_backbone.styles),
        ("content", network.inverter.fs_backbone.content_layer),
        ("fuser", network.inverter.fuser),
        ("editor", network.encoder),
    )}  # fmt: skip
    assert counts == {
        "backbone": 113_920_704,
        "heads": 79_635_456,
        "content": 3_542_016,
        "fuser": 24_135_680,
        "editor": 24_135_680,
    }
    keys = list(network.state_dict())
    assert sum(key.startswith("inverter.fs_backbone.") for key in keys) == 517
    assert sum(key.startswith("inverter.fuser.") for key in keys) == 92
    assert sum(key.startswith("encoder.") for key in keys) == 92 and len(keys) == 701


class Reference:
    """The networks, written as functions of a state dict from their description."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = state

    def norm(self, x: torch.Tensor, key: str) -> torch.Tensor:
        mean, var, weight, bias = (
            self.state[f"{key}.{name}"][:, None, None]
            for name in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def conv(self, x: torch.Tensor, key: str, stride: int = 1) -> torch.Tensor:
        weight, bias = self.state[f"{key}.weight"], self.state.get(f"{key}.bias")
        return F.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2)

    def slope(self, x: torch.Tensor, key: str) -> torch.Tensor:
        return torch.where(x > 0, x, x * self.state[f"{key}.weight"][:, None, None])

    def unit(self, x: torch.Tensor, key: str, stride: int) -> torch.Tensor:
        short = x
        if f"{key}.downsample.0.weight" in self.state:
            short = self.norm(self.conv(x, f"{key}.downsample.0", stride), f"{key}.downsample.1")
        x = self.norm(self.conv(self.norm(x, f"{key}.bn1"), f"{key}.conv1"), f"{key}.bn2")
        return short + self.norm(
            self.conv(self.slope(x, f"{key}.prelu"), f"{key}.conv2", stride), f"{key}.bn3"
        )

    def sequence(self, x: torch.Tensor, key: str) -> torch.Tensor:
        x = self.norm(self.conv(self.norm(x, f"{key}.0"), f"{key}.1"), f"{key}.2")
        return self.norm(self.conv(self.slope(x, f"{key}.3"), f"{key}.4"), f"{key}.5")

    def blend(self, first: torch.Tensor, second: torch.Tensor, key: str) -> torch.Tensor:
        x = self.conv(torch.cat([first, second], 1), f"{key}.conv")
        for i in range(NARROW["blocks"]):
            x = x + self.sequence(x, f"{key}.body.{i}.body")
        return x

    def backbone(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        key = "inverter.fs_backbone"
        x = self.slope(self.norm(self.conv(x, f"{key}.conv.0"), f"{key}.conv.1"), f"{key}.conv.2")
        windows, content = [], x
        for block, (units, stride) in enumerate(zip(NARROW["units"], (2, 2, 1, 2), strict=True), 1):
            for i in range(units):
                x = self.unit(x, f"{key}.block_{block}.{i}", stride if i == 0 else 1)
            windows.append(overlapping_means(x))
            content = x if block == 3 else content
        flat = torch.cat(windows, 1).reshape(len(x), -1)
        rows = [
            flat @ self.state[f"{key}.styles.{i}.weight"].T + self.state[f"{key}.styles.{i}.bias"]
            for i in range(NARROW["levels"])
        ]
        return torch.stack(rows, 1), self.sequence(content, f"{key}.content_layer")


def overlapping_means(x: torch.Tensor) -> torch.Tensor:
    """The means of 3 x 3 windows whose borders are rounded outwards."""
    edges = [(i * x.shape[-1] // 3, -(-(i + 1) * x.shape[-1] // 3)) for i in range(3)]
    means = [x[:, :, a:b, c:d].mean((2, 3)) for a, b in edges for c, d in edges]
    return torch.stack(means, 2).unflatten(2, (3, 3))


@torch.no_grad()
def test_inversion_and_edit_equal_their_description():
    network, drawing = sfe(), centred()
    reference = Reference(network.state_dict())
    images = random_images(1024)
    centre = images.unfold(2, 4, 4).unfold(3, 4, 4)[..., 1:3, 1:3].mean((-1, -2))
    rows, guess = reference.backbone(centre)
    w_plus = rows + drawing.latent_avg
    own = drawing.synthesise_lower(drawing.to_styles(w_plus), 64)[0]
    expected = reference.blend(guess, own, "inverter.fuser")
    found_codes, found = network.invert(drawing, images, codes(drawing, 3, 2))
    assert (found_codes - w_plus).abs().max() < 5e-5
    assert (found - expected).abs().max() < 1e-4

    before, after = (
        drawing.synthesise_lower(drawing.to_styles(codes(drawing, seed)), 64)[0] for seed in (1, 2)
    )
    kept = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(3))
    share = F.interpolate(kept, (64, 64), mode="bilinear", align_corners=False)
    change = (before - after) * (1 - share)
    assert torch.allclose(network.change(before, after, kept), change)
    edited = reference.blend(expected, change, "encoder")
    assert (network.edited_features(found, change) - edited).abs().max() < 1e-4
    assert edited.std() > 0.1 and (edited - expected).std() > 0.1


@torch.no_grad()
def test_only_the_layers_above_read_the_features():
    drawing = centred()
    styles = drawing.to_styles(codes(drawing, 1))
    features, image = drawing.synthesise_lower(styles, 64)
    plain = drawing.synthesise(codes(drawing, 1))
    assert torch.equal(drawing.synthesise_upper(styles, features, image), plain)
    drawn = drawing.synthesise_upper(styles, features + 1, image)
    assert (drawn - plain).abs().mean() > 0.01
    darker = drawing.synthesise_upper(styles, features + 1, image - 1)  # it is only added to
    inner = (drawn - darker)[..., 8:-8, 8:-8]  # the border is padded with zeros
    assert torch.allclose(inner, torch.ones_like(inner), atol=1e-4)


@torch.no_grad()
def test_without_an_editor_the_features_stay():
    network = sfe(editor=False)
    features = torch.randn(1, 8, 64, 64)
    assert torch.equal(network.edited_features(features, torch.ones_like(features)), features)
    assert not any(key.startswith("encoder.") for key in network.state_dict())


@torch.no_grad()
def test_samples_of_a_batch_are_independent():
    network, drawing, images = sfe(), centred(), random_images(256)
    given = codes(drawing, 3)
    together = network.invert(drawing, images, given)
    alone = network.invert(drawing, images[1:], given[1:])
    for many, one in zip(together, alone, strict=True):
        assert torch.allclose(many[1:], one, atol=1e-4)


def test_the_avatar_networks_are_small_and_learn():
    torch.manual_seed(0)
    network, drawing = SFE(**avatar_architecture(channels=8)), generator().requires_grad_(False)
    given = codes(drawing, 1)
    w_plus, features = network.invert(drawing, random_images(128), given)
    assert torch.equal(w_plus, given)  # e4e's, as there are no heads
    edited = network.edited_features(features, torch.ones_like(features))
    styles = drawing.to_styles(w_plus)
    _, image = drawing.synthesise_lower(styles, network.side)
    made = drawing.synthesise_upper(styles, edited, image)
    assert made.shape == (2, 3, 128, 128)
    made.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.inverter.fs_backbone.conv[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("side", [4, 32, 128])
@torch.no_grad()
def test_the_generator_can_be_cut_at_any_resolution(side):
    drawing = generator()
    styles = drawing.to_styles(codes(drawing, 1))
    features, image = drawing.synthesise_lower(styles, side)
    assert features.shape[-1] == image.shape[-1] == side
    assert torch.equal(image, drawing.synthesise_styles(styles, up_to=side))
    whole = drawing.synthesise_upper(styles, features, image)
    assert torch.equal(whole, drawing.synthesise_styles(styles))
