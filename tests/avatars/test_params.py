import pytest
import torch

from tmsa_core.avatars.params import (
    ATTRIBUTES,
    IDENTITY_ATTRIBUTES,
    IDENTITY_TRAITS,
    LATENT_DIMS,
    TRAITS,
    WRINKLES_BY_AGE,
    Portraits,
    portraits_from_latent,
    same_person,
    sample_portraits,
)
from tmsa_core.avatars.visibility import visible


def sample(count: int, seed: int = 0) -> Portraits:
    return sample_portraits(count, torch.Generator().manual_seed(seed))


def test_a_seed_decides_the_portraits():
    assert torch.equal(sample(8).to_matrix(), sample(8).to_matrix())
    assert not torch.equal(sample(8).to_matrix(), sample(8, seed=1).to_matrix())


def test_attributes_follow_their_priors():
    people = sample(20_000)
    for name, attribute in ATTRIBUTES.items():
        if name == "wrinkles":
            continue
        shares = torch.bincount(people.attributes[name], minlength=len(attribute.prior)) / 20_000
        assert torch.allclose(shares, torch.tensor(attribute.prior), atol=0.015), name


def test_wrinkles_depend_on_age_and_nothing_else_does():
    people = sample(20_000)
    for age, chance in WRINKLES_BY_AGE.items():
        share = people.is_("wrinkles", "yes")[people.is_("age", age)].float().mean()
        assert share == pytest.approx(chance, abs=0.02)
    beards = people.is_("facial_hair", "beard").float()
    male = people.is_("gender", "male")
    assert beards[male].mean() == pytest.approx(float(beards[~male].mean()), abs=0.02)


def test_traits_fill_their_range_evenly():
    people = sample(20_000)
    for name in TRAITS:
        trait = people.traits[name]
        assert trait.min() >= -1 and trait.max() <= 1
        assert trait.mean().abs() < 0.02 and trait.std() == pytest.approx(3**-0.5, abs=0.01)


def test_the_scale_of_z_has_no_effect():
    z = torch.randn(16, 512, generator=torch.Generator().manual_seed(1))
    a, b = portraits_from_latent(z), portraits_from_latent(3 * z)
    assert torch.allclose(a.to_matrix(), b.to_matrix(), atol=1e-5)
    assert LATENT_DIMS <= 512


def test_matrix_round_trip_and_selection():
    people = sample(6)
    again = Portraits.from_matrix(people.to_matrix())
    assert torch.equal(again.to_matrix(), people.to_matrix())
    assert torch.equal(people[2:4].to_matrix(), people.to_matrix()[2:4])
    assert torch.equal(Portraits.cat([people[:2], people[2:]]).to_matrix(), people.to_matrix())


def test_with_changes_only_the_named_values():
    people = sample(4).with_(eyewear="glasses", skin_tone=0.5)
    assert people.is_("eyewear", "glasses").all()
    assert (people.traits["skin_tone"] == 0.5).all()
    others = [n for n in ATTRIBUTES if n != "eyewear"]
    assert all(torch.equal(people.attributes[n], sample(4).attributes[n]) for n in others)


@pytest.mark.parametrize("change", [{"eyewear": "monocle"}, {"tail": "long"}])
def test_unknown_names_are_refused(change):
    with pytest.raises(KeyError):
        sample(1).with_(**change)


def test_same_person_keeps_identity_and_takes_the_look():
    person, look = sample(8), sample(8, seed=2)
    both = same_person(person, look)
    assert all(torch.equal(both.traits[n], person.traits[n]) for n in IDENTITY_TRAITS)
    for name in ATTRIBUTES:
        source = person if name in IDENTITY_ATTRIBUTES else look
        assert torch.equal(both.attributes[name], source.attributes[name])


def test_hidden_attributes_are_not_visible():
    people = sample(200)
    assert not visible(people, "eyes")[people.is_("eyewear", "sunglasses")].any()
    assert visible(people, "eyes")[people.is_("eyewear", "none")].all()
    assert not visible(people, "hair_colour")[people.is_("hair_style", "bald")].any()
    assert visible(people, "gender").all()
    assert not visible(people, "eye_size")[people.is_("eyewear", "sunglasses")].any()
    with pytest.raises(KeyError):
        visible(people, "tail")
