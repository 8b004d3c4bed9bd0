"""Publication of a mapper: the files, the upload, and its errors."""

from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import huggingface_hub.constants
import pytest

from tmsa_core.bundles import checkpoints_folder, load_network, open_bundle
from tmsa_core.cli.main import main
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.training.mapper.publish import publish_mapper, write_publication


@pytest.fixture(scope="module")
def bundle():
    return open_bundle("avatar", checkpoints_folder() / "avatar")


@pytest.fixture
def online(monkeypatch):
    """Let the Hub's library use the network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


def test_a_publication_is_a_card_and_a_mapper_that_loads(bundle, tmp_path):
    card, weights = write_publication(bundle, tmp_path / "out", "me/tmsa")
    assert load_network("mapper", weights).levels == 12
    text = card.read_text()
    assert text.startswith("---\nlicense: mit\n") and "hf_hub_download" in text
    assert '"me/tmsa", "mapper.safetensors"' in text
    assert bundle.fingerprint(("generator", "clip")) in text
    assert "train avatar mapper" in text and "human face with glasses" in text


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
    assert files["mapper.safetensors"] == bundle.path("mapper").read_bytes()


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
