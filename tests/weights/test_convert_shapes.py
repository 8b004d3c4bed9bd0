import pytest
import torch

from tmsa_core.weights.architectures import build_network
from tmsa_core.weights.convert_shapes import ARCHITECTURES

PUBLIC = {
    "stylegan2": {"resolution": 512},
    "e4e": {"levels": 16},
    "hfgi": {},
    "sfe": {},
    "arcface": {},
}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_shapes_tell_the_public_architecture(kind):
    with torch.device("meta"):
        public = build_network(kind, PUBLIC[kind]).state_dict()
        architecture = ARCHITECTURES[kind]({key: tuple(v.shape) for key, v in public.items()})
        rebuilt = build_network(kind, architecture).state_dict()
    assert {k: v.shape for k, v in rebuilt.items()} == {k: v.shape for k, v in public.items()}


def test_numbers_of_the_public_generator():
    for resolution in (1024, 512, 256):
        with torch.device("meta"):
            state = build_network("stylegan2", {"resolution": resolution}).state_dict()
        assert ARCHITECTURES["stylegan2"]({k: tuple(v.shape) for k, v in state.items()}) == {
            "resolution": resolution,
            "w_dim": 512,
            "channel_multiplier": 2,
            "channel_max": 512,
            "mapping_layers": 8,
        }


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_shapes_of_something_else_are_an_error(kind):
    with pytest.raises((KeyError, IndexError)):
        ARCHITECTURES[kind]({"layer.weight": (3, 4)})
