"""Publication of a mapper: the files, the upload, and its errors."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import huggingface_hub.constants
import pytest

from tests.tiny_networks import few_calibration_texts
from tmsa_core.bundles import checkpoints_folder, load_network, open_bundle
from tmsa_core.cli.main import main
from tmsa_core.domains import DOMAINS
from tmsa_core.editing.named_mapper import mapper_origin
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.training.mapper import calibration_texts, measure
from tmsa_core.training.mapper.measure import MapperQuality, measure_mapper
from tmsa_core.training.mapper.model_card import model_card
from tmsa_core.training.mapper.publish import publish_mapper, write_publication
from tmsa_core.weights.hub_mapper import MAPPER_FILE as FILE
from tmsa_core.weights.manifest import register_file
from tmsa_core.weights.network_files import read_metadata, save_network


@pytest.fixture(scope="module")
def bundle():
    return open_bundle("avatar", checkpoints_folder() / "avatar")


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    """Measure on few images and texts."""
    monkeypatch.setattr(measure, "SAMPLES", 2)
    monkeypatch.setattr(calibration_texts, "find_domain", lambda key: few_calibration_texts())


@pytest.fixture
def online(monkeypatch):
    """Let the Hub's library use the network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


def test_a_publication_is_a_card_and_a_mapper_that_loads(bundle, tmp_path):
    card, weights = write_publication(bundle, tmp_path / "out", "me/tmsa")
    assert load_network("mapper", weights).levels == DOMAINS["avatar"].levels
    text = card.read_text()
    header = text.split("---")[1]
    assert "\nlicense: mit\n" in header and "\npipeline_tag: image-to-image\n" in header
    assert "\nbase_model: []\n" in header and "https://arxiv.org/abs/2301.10670" in text
    assert 'load_editor("avatar", mapper="me/tmsa")' in text and "--mapper me/tmsa" in text
    origin = mapper_origin(bundle)
    assert origin["generator"][:12] in text and origin["clip"][:12] in text
    assert "train avatar mapper" in text and "human face with glasses" in text
    assert "| evaluations | 15048 |" in text and "| seconds | 386 |" in text
    assert "| generator | MIT |" in text and "| clip | MIT |" in text


def test_the_card_of_photos_names_the_base_models_and_their_licences():
    bundle = open_bundle("ffhq", checkpoints_folder() / "ffhq")
    mapper = bundle.cache / "card" / "mapper.safetensors"
    save_network("mapper", Mapper(18, ()), mapper, Mapper(18, ()).architecture(), {})
    metadata = read_metadata(mapper)
    metadata["origin"] = {"command": "tmsa train", "generator": "a" * 64, "clip": "b" * 64}
    named = bundle.with_mapper(mapper, "x/y@z")
    quality = MapperQuality(0.31, 0.97, 16, 8)
    text = model_card(named, metadata, "x/y", quality)
    assert "base_model: [public-data/e4e, timm/vit_base_patch32_clip_224.openai]" in text
    assert "license: other" in text and "non-commercial" in text
    assert "| round trip | 0.31 |" in text and "| calibration | 0.97 |" in text


def test_a_mapper_is_measured_on_its_own_domain(bundle, monkeypatch):
    good = measure_mapper(bundle)
    assert good.round_trip > 0.15 and good.calibration > 0.3
    mapper = bundle.load("mapper")
    mapper.reference_codes.zero_()
    mapper.linear.weight.zero_()
    mapper.layers[-1].weight.zero_()
    still = bundle.cache / "still.safetensors"
    save_network("mapper", mapper, still, mapper.architecture(), {})
    bad = measure_mapper(bundle.with_mapper(still, "still"))
    assert bad.round_trip < 0.1 and bad.calibration < 0.1


def test_a_mapper_of_other_networks_is_not_published(bundle, tmp_path):
    folder = tmp_path / "avatar"
    shutil.copytree(bundle.folder, folder, ignore=shutil.ignore_patterns("samples", "baselines"))
    mapper = bundle.load("mapper")
    origin = mapper_origin(bundle) | {"clip": "0" * 64}
    save_network("mapper", mapper, folder / FILE, mapper.architecture(), origin)
    register_file(folder, "avatar", "mapper", "mapper", FILE, "another")
    with pytest.raises(BundleError, match="made for another generator or CLIP"):
        write_publication(open_bundle("avatar", folder), tmp_path / "out", "me/tmsa")


def test_the_command_can_write_without_uploading(tmp_path, capsys):
    assert main(["publish", "avatar", "me/tmsa", "--folder", str(tmp_path / "out")]) == 0
    written = capsys.readouterr().out.split()
    assert [path.rsplit("/", 1)[1] for path in written] == ["README.md", "mapper.safetensors"]


def test_an_upload_sends_both_files_in_one_commit(bundle, monkeypatch):
    files = {}

    def upload(*, repo_id, folder_path, commit_message):
        files.update({path.name: path.read_bytes() for path in Path(folder_path).iterdir()})
        return SimpleNamespace(commit_url=f"https://hub.example/{repo_id}/commit/0")

    hub = create_autospec(huggingface_hub.HfApi)
    hub.return_value.upload_folder.side_effect = upload
    monkeypatch.setattr(huggingface_hub, "HfApi", hub)
    address = publish_mapper(bundle, "me/tmsa", private=True, endpoint="hub", token="hf_secret")
    assert address == "https://hub.example/me/tmsa"
    hub.assert_called_once_with(endpoint="hub", token="hf_secret")
    hub.return_value.create_repo.assert_called_once_with("me/tmsa", private=True, exist_ok=True)
    assert set(files) == {"README.md", "mapper.safetensors"}
    assert len(files["mapper.safetensors"]) >= bundle.path("mapper").stat().st_size


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "no address"])
def test_an_unreachable_hub_is_reported_in_one_sentence(bundle, online, endpoint):
    with pytest.raises(RequestError, match=r"upload to me/tmsa failed.*log in") as said:
        publish_mapper(bundle, "me/tmsa", endpoint=endpoint, token="nonsense")
    assert len(str(said.value).splitlines()) == 1


def test_invalid_publications_are_refused(bundle, tmp_path):
    with pytest.raises(RequestError, match="USER/NAME"):
        publish_mapper(bundle, "no such name!")
    with pytest.raises(RequestError, match="upload to me/tmsa failed"):
        publish_mapper(bundle, "me/tmsa", endpoint="http://127.0.0.1:9", token="x")
    folder = tmp_path / "avatar"
    folder.mkdir()
    (folder / "bundle.json").write_text('{"domain": "avatar", "format": 1, "files": {}}')
    with pytest.raises(BundleError, match="no mapper"):
        write_publication(open_bundle("avatar", folder), tmp_path / "out", "me/tmsa")
