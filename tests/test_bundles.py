import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from tmsa_core.bundles import checkpoints_folder, load_network, open_bundle
from tmsa_core.errors import BundleError
from tmsa_core.training.avatar.stages import STAGES
from tmsa_core.weights.architectures import build_network
from tmsa_core.weights.manifest import register_file
from tmsa_core.weights.network_files import read_metadata, save_network

SMALL = {"resolution": 16, "channel_multiplier": 0.01, "channel_max": 8, "mapping_layers": 1}


@pytest.fixture
def bundle_folder(tmp_path):
    torch.manual_seed(0)
    generator = build_network("stylegan2", SMALL)
    generator.latent_avg = torch.linspace(0, 1, 512)
    save_network("stylegan2", generator, tmp_path / "generator.safetensors", SMALL, {"seed": 3})
    register_file(tmp_path, "avatar", "generator", "stylegan2", "generator.safetensors", "test")
    return tmp_path


def test_the_manifest_states_the_numbers_of_a_network(bundle_folder):
    numbers = SMALL | {"words": ["face"]}
    register_file(
        bundle_folder, "avatar", "generator", "stylegan2", "generator.safetensors", "test",
        architecture=numbers,
    )  # fmt: skip
    bundle = open_bundle("avatar", bundle_folder)
    assert bundle.files["generator"].architecture == SMALL
    assert bundle.load("generator").resolution == 16


def test_a_saved_network_is_loaded_unchanged(bundle_folder):
    torch.manual_seed(0)
    original = build_network("stylegan2", SMALL).eval()
    loaded = load_network("stylegan2", bundle_folder / "generator.safetensors")
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    w_plus = torch.randn(1, original.levels, 512)
    assert torch.allclose(loaded.synthesise(w_plus), original.synthesise(w_plus), atol=2e-2)
    assert torch.allclose(loaded.latent_avg, torch.linspace(0, 1, 512), atol=1e-3)


def test_all_users_may_read_a_saved_network(bundle_folder):
    assert (bundle_folder / "generator.safetensors").stat().st_mode & 0o777 == 0o644


def test_the_same_network_gives_the_same_bytes(bundle_folder):
    path = bundle_folder / "generator.safetensors"
    network, origin = load_network("stylegan2", path), {"seed": 3, "town": "Köln"}
    files = set()
    for _ in range(2):
        save_network("stylegan2", network, path, SMALL, origin)
        files.add(path.read_bytes())
    assert len(files) == 1 and read_metadata(path)["origin"] == origin


def test_a_file_describes_itself(bundle_folder):
    metadata = read_metadata(bundle_folder / "generator.safetensors")
    assert metadata == {"kind": "stylegan2", "architecture": SMALL, "origin": {"seed": 3}}


def test_another_kind_is_refused(bundle_folder):
    with pytest.raises(BundleError, match="stylegan2 network, not mapper"):
        load_network("mapper", bundle_folder / "generator.safetensors")


def test_unknown_kind_is_refused():
    with pytest.raises(BundleError, match="stylegan2"):
        build_network("stylegan9", {})


@pytest.mark.parametrize(
    "architecture", ["{", "[3]", '{"resolution": 20}', '{"colour": 1}', '{"resolution": "large"}']
)
def test_a_file_with_an_invalid_architecture_is_refused(bundle_folder, architecture):
    path = bundle_folder / "generator.safetensors"
    save_file(load_file(path), path, {"kind": "stylegan2", "architecture": architecture})
    with pytest.raises(BundleError, match=r"^generator\.safetensors "):
        load_network("stylegan2", path)


def test_a_mean_latent_code_must_fit_too(bundle_folder):
    path = bundle_folder / "generator.safetensors"
    text = {"kind": "stylegan2", "architecture": json.dumps(SMALL)}
    save_file(load_file(path) | {"latent_avg": torch.zeros(7)}, path, text)
    with pytest.raises(BundleError, match=r"latent_avg \(7,\) instead of \(512,\)"):
        load_network("stylegan2", path)


@pytest.mark.parametrize("change", ["drop", "add"])
def test_keys_must_fit_exactly(bundle_folder, change):
    path = bundle_folder / "generator.safetensors"
    tensors, metadata = load_file(path), read_metadata(path)
    if change == "drop":
        del tensors["input.input"]
    else:
        tensors["extra.weight"] = torch.zeros(1)
    text = {"kind": "stylegan2", "architecture": json.dumps(metadata["architecture"])}
    save_file(tensors, path, text)
    with pytest.raises(BundleError, match=r"input.input|extra.weight"):
        load_network("stylegan2", path)


def test_a_missing_or_damaged_file_is_one_sentence(bundle_folder):
    with pytest.raises(BundleError, match="missing"):
        load_network("stylegan2", bundle_folder / "nothing.safetensors")
    path = bundle_folder / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BundleError, match="damaged"):
        load_network("stylegan2", path)
    with pytest.raises(BundleError, match="damaged"):
        open_bundle("avatar", bundle_folder).path("generator")


def test_a_file_without_metadata_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(BundleError, match="architecture"):
        load_network("stylegan2", tmp_path / "a.safetensors")


def test_a_changed_file_is_damaged(bundle_folder):
    bundle = open_bundle("avatar", bundle_folder)
    path = bundle.checked_path("generator")
    assert len(bundle.fingerprint()) == 12
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert bundle.has("generator") and bundle.problem("generator") is None
    with pytest.raises(BundleError, match="damaged"):
        bundle.checked_path("generator")


def test_a_missing_role_or_bundle_is_named(bundle_folder, tmp_path_factory):
    with pytest.raises(BundleError, match="no mapper"):
        open_bundle("avatar", bundle_folder).path("mapper")
    with pytest.raises(BundleError, match="No bundle for 'ffhq'"):
        open_bundle("ffhq", tmp_path_factory.mktemp("empty"))
    (bundle_folder / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle("avatar", bundle_folder)


@pytest.mark.parametrize("role", ["detector", "landmarks", "generator", "mapper"])
def test_the_remedy_for_a_missing_file_names_an_existing_stage(role, tmp_path):
    source = checkpoints_folder() / "avatar" / "bundle.json"
    (tmp_path / "bundle.json").write_bytes(source.read_bytes())
    with pytest.raises(BundleError) as caught:
        open_bundle("avatar", tmp_path).path(role)
    command = re.search(r"`python -m tmsa_core train avatar (\w+)`", str(caught.value))
    assert command and command[1] in STAGES
