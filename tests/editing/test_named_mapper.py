"""A mapper by name: published on a local Hub, fetched, checked, used, and stated in recipes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file

from tests.hub_server import COMMIT, Hub, running_hub
from tests.tiny_networks import few_calibration_texts
from tmsa_core import EditRequest, load_editor
from tmsa_core.bundles import checkpoints_folder, open_bundle
from tmsa_core.cli.main import main
from tmsa_core.editing.named_mapper import find_mapper, mapper_origin
from tmsa_core.errors import BundleError
from tmsa_core.imaging.metadata import read_recipe
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.server.editors import first_editor
from tmsa_core.training.mapper import calibration_texts, measure
from tmsa_core.training.mapper.publish import publish_mapper
from tmsa_core.weights import download, hub_mapper
from tmsa_core.weights.network_files import read_metadata, save_network, tensors_digest

FILE = "me/tmsa/mapper.safetensors"
pytestmark = pytest.mark.filterwarnings("ignore:Use .content=")  # huggingface_hub's own upload


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What `tmsa publish` leaves on a Hub."""
    with running_hub() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        patch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(measure, "SAMPLES", 2)
        patch.setattr(calibration_texts, "find_domain", lambda key: few_calibration_texts())
        bundle = open_bundle("avatar")
        address = publish_mapper(bundle, "me/tmsa", endpoint=hub.address, token="hf_test")
        assert address == f"{hub.address}/me/tmsa"
        return hub.files


@pytest.fixture
def hub(
    published: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hub]:
    """A Hub with the published mapper, at the address that huggingface_hub uses."""
    monkeypatch.setenv("TMSA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(download, "PAUSE", 0.0)
    with running_hub() as served:
        template = served.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", served.address)
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        served.files |= published
        yield served


def random_mapper(path: Path, **changes: object) -> Path:
    """A mapper of random numbers for the drawn domain; ``changes`` are to what its file says."""
    levels = int(changes.pop("levels", 12))
    mapper = Mapper(levels, ())
    origin = {"command": "a test", **mapper_origin(open_bundle("avatar")), **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_network("mapper", mapper, path, mapper.architecture(), origin)
    return path


def refused(mapper: str | Path, domain: str = "avatar") -> str:
    """The sentence by which an editor refuses a mapper."""
    with pytest.raises(BundleError) as said:
        load_editor(domain, device="cpu", mapper=mapper)
    words = str(said.value)
    assert "\n" not in words and words.endswith(".") and len(words) < 500
    return words


def test_a_published_mapper_is_fetched_used_and_stated_in_recipes(hub: Hub, editor):
    named = load_editor("avatar", device="cpu", mapper="me/tmsa")
    request = EditRequest("human face", "human face with glasses")
    face = editor.sample(3)
    same = named.edit(face, request)
    assert same.crop.tobytes() == editor.edit(face, request).crop.tobytes()
    assert named.recipe([request])["mapper"] == f"me/tmsa@{COMMIT[:12]}"
    assert "mapper" not in editor.recipe([request])
    assert named.recipe([])["weights"] != editor.recipe([])["weights"]
    asked = len(hub.bodies(FILE))
    load_editor("avatar", device="cpu", mapper=f"me/tmsa@{COMMIT}")
    assert len(hub.bodies(FILE)) == asked == 1  # the file is kept


def test_without_the_hub_the_fetched_one_is_used_and_another_is_refused(hub: Hub, monkeypatch):
    load_editor("avatar", device="cpu", mapper="me/tmsa")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    notes: list[str] = []
    load_editor(
        "avatar", device="cpu", mapper="me/tmsa", progress=lambda done, total, m: notes.append(m)
    )
    assert "last download" in notes[0]
    assert "HF_HUB_OFFLINE" in refused("me/other")


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_folder_or_a_file_serves_too(kind: str, tmp_path: Path, editor):
    path = random_mapper(tmp_path / "mine" / "mapper.safetensors")
    named = load_editor("avatar", device="cpu", mapper=path.parent if kind == "folder" else path)
    assert not torch.equal(named.shift("face", "old face"), editor.shift("face", "old face"))
    stated = named.recipe([])["mapper"]
    assert stated.startswith("mapper.safetensors@") and str(tmp_path) not in stated


def test_the_bundles_own_mapper_serves_although_it_names_no_networks(tmp_path: Path):
    own = shutil.copyfile(open_bundle("avatar").path("mapper"), tmp_path / "own.safetensors")
    assert load_editor("avatar", device="cpu", mapper=own).recipe([])["mapper"]


def test_a_mapper_of_other_networks_is_refused_by_hash(tmp_path: Path):
    other = "0" * 64
    for role in ("generator", "clip"):
        path = random_mapper(tmp_path / role / "mapper.safetensors", **{role: other})
        assert f"{role} {other[:12]} instead of" in refused(path)
    path = random_mapper(tmp_path / "levels.safetensors", levels=18)
    assert "18 as levels" in refused(path) and "here 12" in refused(path)


def test_a_mapper_of_another_domain_is_refused_before_weights_are_fetched(hub: Hub):
    assert "belongs to the domain 'avatar' and not to 'ffhq'" in refused("me/tmsa", "ffhq")
    assert {name for _, name, _ in hub.log} == {FILE}


def test_files_of_other_kinds_are_refused(tmp_path: Path):
    folder = checkpoints_folder() / "avatar"
    assert "holds a stylegan2 network" in refused(folder / "generator.safetensors")
    assert "is damaged or not a safetensors file" in refused(folder / "bundle.json")
    assert "holds no mapper.safetensors" in refused(tmp_path)
    nameless = tmp_path / "nameless.safetensors"
    save_network("mapper", Mapper(12, ()), nameless, Mapper(12, ()).architecture(), {})
    assert "does not say which domain" in refused(nameless)
    for name in ("no such file", "a/b/c", "../x", "user/..", "http://x/y", "user/name@"):
        assert "give USER/NAME on the Hub" in refused(name)
    assert "no file name can hold" in refused("a\0b")


def damage(hub: Hub) -> str:
    hub.files[FILE] = hub.files[FILE][:-5000]
    return "is damaged"


def hide(hub: Hub) -> str:
    hub.private.add("me/tmsa")
    return "private, gone or misspelt"


def leave_card(hub: Hub) -> str:
    del hub.files[FILE]
    return "holds no mapper.safetensors"


def lie(hub: Hub) -> str:
    hub.announced[FILE] = "1" * 64
    return "SHA-256 is"


def break_off(hub: Hub) -> str:
    hub.faults[FILE] = [("status", 500)] * 20
    return "the Hub answered 500"


def be_slow(hub: Hub) -> str:
    hub.slow = 0.6
    return "could not be fetched"


@pytest.mark.parametrize("fault", [damage, hide, leave_card, lie, break_off, be_slow])
def test_each_failure_of_a_hub_is_one_sentence(
    hub: Hub, fault: Callable[[Hub], str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hub_mapper, "TIMEOUT", 0.3)
    said = fault(hub)
    assert said in refused("me/tmsa")


def test_an_interrupted_download_goes_on(hub: Hub):
    hub.faults[FILE] = [("reset", 100_000)]
    load_editor("avatar", device="cpu", mapper="me/tmsa")
    assert hub.bodies(FILE)[0] == "" and hub.bodies(FILE)[-1].startswith("bytes=")


def test_the_command_line_and_its_variable_take_a_name(
    hub: Hub, tmp_path: Path, portrait, monkeypatch: pytest.MonkeyPatch, capsys
):
    portrait.save(tmp_path / "in.png")
    out = tmp_path / "out.png"
    words = ["edit", str(tmp_path / "in.png"), "-o", str(out), "--aligned", "--target", "old face"]
    assert main([*words, "--mapper", "me/tmsa"]) == 0
    assert read_recipe(out)["mapper"] == f"me/tmsa@{COMMIT[:12]}"
    monkeypatch.setenv("TMSA_MAPPER", "me/gone")
    assert main(words) == 1
    assert "me/gone" in capsys.readouterr().err


def test_a_page_starts_with_the_mapper_that_is_named_or_without_it(hub: Hub, capsys):
    assert first_editor("avatar", "me/tmsa").recipe([])["mapper"].startswith("me/tmsa@")
    hub.private.add("me/tmsa")
    assert "mapper" not in first_editor("avatar", "me/tmsa").recipe([])
    assert "private, gone or misspelt" in capsys.readouterr().err


def test_two_threads_fetch_one_file(hub: Hub):
    with ThreadPoolExecutor() as pool:
        paths = {
            m.path for m in pool.map(find_mapper, ["me/tmsa"] * 2, [open_bundle("avatar")] * 2)
        }
    assert len(paths) == len(hub.bodies(FILE)) == 1


def test_the_hash_of_tensors_ignores_names_of_files_and_origins(tmp_path: Path):
    torch.manual_seed(0)
    mapper = Mapper(4, ())
    for name in ("a", "b"):
        save_network("mapper", mapper, tmp_path / name, mapper.architecture(), {"file": name})
    assert tensors_digest(tmp_path / "a") == tensors_digest(tmp_path / "b")
    mapper.gap[3] = 1
    save_network("mapper", mapper, tmp_path / "c", mapper.architecture(), {"file": "a"})
    assert tensors_digest(tmp_path / "a") != tensors_digest(tmp_path / "c")


def test_a_published_file_states_what_it_belongs_to_and_has_the_same_tensors(published):
    bundle = open_bundle("avatar")
    path = bundle.cache / "published.safetensors"
    path.write_bytes(published[FILE])
    assert mapper_origin(bundle).items() <= read_metadata(path)["origin"].items()
    own = load_file(bundle.path("mapper"))
    assert all(torch.equal(own[name], value) for name, value in load_file(path).items())
    card = published["me/tmsa/README.md"].decode()
    assert 'load_editor("avatar", mapper="me/tmsa")' in card
    assert json.dumps(read_metadata(path)["architecture"]) in card
