import pytest
import torch

from tmsa_core.avatars.params import sample_portraits
from tmsa_core.avatars.render import render
from tmsa_core.training.avatar.generator import (
    FINE_WEIGHT,
    PHASES,
    TEXTURE_STRENGTH,
    lift_codes,
    new_generator,
    noisy_codes,
    optimisers,
    phase_at,
    sampling_weights,
    texture_maps,
)
from tmsa_core.training.avatar.w_codes import code_scale, features, portrait_codes


def test_lifting_the_codes_and_the_generator_keeps_the_image():
    torch.manual_seed(0)
    generator = new_generator().eval()
    w_plus = torch.randn(1, generator.levels, 512)
    before = generator.synthesise(w_plus)
    lift_codes(generator, 4.0)
    assert torch.allclose(generator.synthesise(w_plus + 4.0), before, atol=1e-3)
    assert not torch.allclose(generator.synthesise(w_plus), before, atol=1e-3)


def test_codes_without_noise_are_those_of_the_portraits():
    people = sample_portraits(4, torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(1)
    clean = noisy_codes(features(people), 12, 0.0, rng)
    assert clean.shape == (4, 12, 512)
    assert torch.allclose(clean, portrait_codes(people)[:, None].expand(-1, 12, -1), atol=1e-4)
    noisy = noisy_codes(features(people), 12, 1.0, rng)
    assert 0.05 < (noisy - clean).std() / code_scale() < 0.2


def test_pairs_with_fine_changes_are_sampled_more_often():
    people = sample_portraits(2, torch.Generator().manual_seed(0)).with_(
        earrings="no", hair_style="curly", costume="none", background="blue"
    )
    once, often = [1.0, 1.0], [FINE_WEIGHT, FINE_WEIGHT]
    for change, expected in (
        ({"background": "pink"}, once),
        ({"earrings": "yes"}, often),
        ({"hair_style": "bob"}, often),  # curls disappear
        ({"costume": "clown"}, often),
    ):
        assert sampling_weights(people, people.with_(**change)).tolist() == expected
    straight = people.with_(hair_style="long")
    assert sampling_weights(straight, straight.with_(hair_style="bob")).tolist() == once


def test_phases_follow_each_other():
    assert phase_at(0) == (PHASES[0], 0.0)
    assert phase_at(PHASES[0].images)[0] == PHASES[1]
    total = sum(p.images for p in PHASES)
    assert phase_at(total) == (PHASES[-1], 1.0)


def test_texture_maps_match_the_renders():
    curls, strands, marks = texture_maps(128)
    assert curls.shape == (64, 64) and strands.shape == marks.shape == (128, 128)
    for grain in (curls, strands, marks):
        assert grain.std().item() == pytest.approx(1, abs=1e-3)
    bald = sample_portraits(8, torch.Generator().manual_seed(3)).with_(
        hair_style="bald", headwear="none", eyewear="none", costume="none", facial_hair="none"
    )
    spots = [render(bald.with_(freckles=answer)).images.mean(dim=1) for answer in ("no", "yes")]
    darker = (spots[0] - spots[1]).mean(dim=0)
    assert darker[64:90][marks[64:90] > 1].mean() > 10 * darker[64:90][marks[64:90] == 0].mean()


def test_new_generators_have_the_textures_in_their_last_noise_maps():
    model = new_generator()
    assert torch.equal(model.noises.noise_9[0, 0], texture_maps(128)[1])
    for layer in (6, 8, 9):  # maps of curls, strands and marks
        strength = model.convs[layer].noise.weight
        assert strength.item() == pytest.approx(TEXTURE_STRENGTH) and not strength.requires_grad
    assert model.convs[7].noise.weight.item() == 0
    w_plus = torch.zeros(1, model.levels, 512)
    with torch.no_grad():
        before = model.synthesise(w_plus)
        model.noises.noise_9.zero_()
        assert not torch.equal(model.synthesise(w_plus), before)


def test_every_weight_of_the_synthesis_network_has_one_optimiser():
    model = new_generator()
    trained = [
        p for o in optimisers(model).values() for group in o.param_groups for p in group["params"]
    ]
    wanted = [
        p
        for name, p in model.named_parameters()
        if not name.startswith("style.") and p.requires_grad
    ]
    assert len(trained) == len(wanted) and {id(p) for p in trained} == {id(p) for p in wanted}
    order = {
        id(p): i for i, p in enumerate(wanted)
    }  # a resumed run assigns its state in this order
    places = [order[id(p)] for p in trained]
    matrices = len(optimisers(model)["muon"].param_groups[0]["params"])
    assert places[:matrices] == sorted(places[:matrices])
    assert places[matrices:] == sorted(places[matrices:])
