import torch

from tmsa_core.bundles import load_network
from tmsa_core.networks.styleclip import GroupMapper, LevelsMapper
from tmsa_core.weights.network_files import save_network


def test_keys_are_those_of_published_mappers():
    keys = LevelsMapper().state_dict().keys()
    assert len(keys) == 3 * 4 * 2
    for group in ("course", "medium", "fine"):
        for i in range(1, 5):
            assert {f"{group}_mapping.mapping.{i}.{k}" for k in ("weight", "bias")} <= keys


def test_the_norm_runs_over_the_rows_of_a_group():
    rows = torch.randn(2, 4, 8)
    model = GroupMapper(8)
    scaled = rows.clone()
    scaled[:, :, 3] *= 100  # one feature of every row: the norm takes it out
    torch.testing.assert_close(model(rows), model(scaled), atol=1e-5, rtol=1e-5)
    scaled = rows.clone()
    scaled[:, 0] *= 100  # one row of every feature: it does not
    assert not torch.allclose(model(rows), model(scaled), atol=1e-2)


def test_known_values_of_one_layer():
    model = GroupMapper(2)
    for layer in model.mapping[1:]:
        layer.weight.data = torch.eye(2) / 0.01 * 2**0.5  # the identity at run time
        layer.bias.data.zero_()
    rows = torch.tensor([[[1.0, -1.0], [1.0, -1.0]]])
    gain = 2.0**0.5
    expected = torch.tensor([1.0, -(0.2**4)]) * gain**4
    torch.testing.assert_close(model(rows)[0, 0], expected)


def test_groups_read_and_move_their_own_rows():
    model, w = LevelsMapper(8), torch.randn(1, 12, 8)
    moved = w.clone()
    moved[:, 4:8] = torch.randn(1, 4, 8)
    changed = (model(w) != model(moved)).any(dim=2)[0]
    assert changed.tolist() == [False] * 4 + [True] * 4 + [False] * 4


def test_a_group_left_out_has_no_weights(tmp_path):
    model = LevelsMapper(8, ("course",))
    assert all(key.startswith("course") for key in model.state_dict())
    path = tmp_path / "mapper.safetensors"
    save_network("styleclip_mapper", model, path, {"w_dim": 8, "groups": ["course"]}, {})
    step = load_network("styleclip_mapper", path)(torch.randn(1, 10, 8))
    assert step[:, :4].any() and not step[:, 4:].any()
