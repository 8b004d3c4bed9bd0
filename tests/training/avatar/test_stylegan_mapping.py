import torch

from tmsa_core.avatars.params import LATENT_DIMS
from tmsa_core.training.avatar.generator import ARCHITECTURE
from tmsa_core.training.avatar.stylegan_mapping import (
    LIFT,
    input_groups,
    masks,
    new_mapping,
    unit_groups,
)


def test_every_used_entry_of_z_has_one_group():
    entries = sorted(i for group in input_groups() for i in group)
    assert entries == list(range(LATENT_DIMS))


def test_every_group_has_hidden_units():
    owners = unit_groups()
    assert len(owners) == 512
    assert set(owners) == set(range(len(input_groups())))


def test_units_of_different_groups_are_not_connected():
    first, hidden = masks()
    owners = torch.tensor(unit_groups())
    apart = owners[:, None] != owners[None, :]
    assert not hidden[apart].any() and hidden[~apart].all()
    assert not first[:, LATENT_DIMS:].any() and first[:, :LATENT_DIMS].any(dim=0).all()


def test_a_new_mapping_starts_at_the_lifted_mean():
    mapping, connected = new_mapping(ARCHITECTURE)
    w = mapping(torch.randn(64, 512, generator=torch.Generator().manual_seed(0)))
    assert (w.mean(dim=0) - LIFT).abs().max() < 1
    for layer, mask in zip(list(mapping)[1:], connected, strict=True):
        assert not layer.weight[mask == 0].any()
