import torch

from tmsa_core.networks.e4e import Encoder
from tmsa_core.networks.stylegan2 import Generator
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.training.avatar import grow
from tmsa_core.training.avatar.generator import TEXTURE_STRENGTH, texture_maps

SMALL = {"resolution": 32, "channel_multiplier": 0.04, "channel_max": 16, "mapping_layers": 2}


def small_generator() -> Generator:
    torch.manual_seed(0)
    model = Generator(**SMALL).eval()
    for layer in [model.conv1, *model.convs]:
        layer.noise.weight.data.fill_(0.1)
    model.latent_avg = torch.randn(512)
    return model


@torch.no_grad()
def test_a_grown_generator_draws_the_same_picture_upsampled():
    old = small_generator()
    architecture = grow.grown_architecture(SMALL)
    new = grow.grown_generator(old, architecture)
    assert (new.resolution, new.levels) == (64, old.levels + 2)
    w_plus = torch.randn(2, old.levels, 512)
    longer = torch.cat([w_plus, torch.randn(2, 2, 512)], dim=1)
    before = old.synthesise(w_plus)
    assert torch.equal(new.synthesise(longer, up_to=32), before)
    assert torch.equal(new.synthesise(longer), new.to_rgbs[-1].upsample(before))
    z = torch.randn(2, 512)
    assert torch.equal(new.map(z, 0.5), old.map(z, 0.5))


@torch.no_grad()
def test_the_new_block_has_enough_channels_and_the_renderers_textures():
    old = small_generator()
    new = grow.grown_generator(old, grow.grown_architecture(SMALL))
    assert new.convs[-1].conv.weight.shape[1:3] == (grow.CHANNEL_MIN, grow.CHANNEL_MIN)
    strands, marks = texture_maps(64)[1:]
    assert torch.equal(new.noises.noise_7[0, 0], strands)
    assert torch.equal(new.noises.noise_8[0, 0], marks)
    for layer in new.convs[-2:]:
        assert layer.noise.weight.item() == torch.tensor(TEXTURE_STRENGTH).item()
    new.to_rgbs[-1].conv.weight.data.fill_(1.0)  # as training does: now the block shows
    w_plus = torch.randn(1, new.levels, 512)
    assert not torch.equal(
        new.synthesise(w_plus), new.to_rgbs[-1].upsample(new.synthesise(w_plus, up_to=32))
    )


@torch.no_grad()
def test_a_grown_encoder_repeats_its_last_row():
    torch.manual_seed(0)
    small = {"levels": 8, "input_size": 32, "widths": [4, 4, 4, 4], "units": [1, 1, 1, 1]}
    small |= {"head_width": 4, "stem_stride": 2}
    old = Encoder(**small).eval()
    old.latent_avg = torch.randn(8, 512)
    new = grow.grown_encoder(old, grow.grown_levels(small)).eval()
    images = torch.rand(2, 3, 32, 32)
    before, after = old(images), new(images)
    assert torch.equal(after[:, :8], before)
    assert torch.equal(after[:, 8:], before[:, 7:].expand(-1, 2, -1))


@torch.no_grad()
def test_a_grown_mapper_repeats_its_last_row():
    torch.manual_seed(0)
    old = Mapper(levels=6, hidden=(8,), clip_dim=16, w_dim=32, references=3)
    old.latent_avg.normal_()
    old.set_references(torch.randn(3, 16), torch.randn(3, 32))
    new = grow.grown_mapper(old)
    assert new.architecture() == old.architecture() | {"levels": 8}
    assert torch.equal(new.reference_codes, old.reference_codes)
    text = torch.randn(2, 16)
    before, after = old.from_text(text), new.from_text(text)
    assert torch.allclose(after[:, :6], before, atol=1e-6)
    assert torch.equal(after[:, 6:], after[:, 5:6].expand(-1, 2, -1))
