"""Publication of a mapper: the files, and an upload to a Hub on this machine."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub.constants
import pytest

from tmsa_core.bundles import checkpoints_folder, load_network, open_bundle
from tmsa_core.cli.main import main
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.training.mapper.publish import publish_mapper, write_publication


@pytest.fixture(scope="module")
def bundle():
    return open_bundle("avatar", checkpoints_folder() / "avatar")


class Hub(BaseHTTPRequestHandler):
    """The part of the Hub's API that an upload needs; stores the requests."""

    def do_POST(self):  # noqa: N802 - the name that http.server calls
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "Transfer-Encoding" in self.headers:
            body = self.read_chunks()
        self.server.seen.append((self.path, body, self.headers["Authorization"]))
        address = f"http://127.0.0.1:{self.server.server_port}"
        if self.path == "/api/repos/create":
            self.answer({"url": f"{address}/me/tmsa"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files
            ]
            self.answer({"files": modes})
        elif "/commit/" in self.path:
            self.answer({"commitUrl": f"{address}/me/tmsa/commit/0", "commitOid": "0" * 40})
        else:
            self.answer({})

    def do_GET(self):  # noqa: N802
        self.server.seen.append((self.path, b"", self.headers["Authorization"]))
        self.answer({"sha": "0" * 40, "id": "me/tmsa", "siblings": []})

    def read_chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, content):
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def online(monkeypatch):
    """Let the Hub's library use the network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def hub(online):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


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


def test_an_upload_sends_both_files_in_one_commit(bundle, hub):
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    address = publish_mapper(bundle, "me/tmsa", endpoint=endpoint, token="hf_secret")
    assert address == f"{endpoint}/me/tmsa"
    paths = [path for path, _, _ in hub.seen]
    assert paths[0] == "/api/repos/create" and sum("/commit/" in p for p in paths) == 1
    commit = next(body for path, body, _ in hub.seen if "/commit/" in path)
    rows = [json.loads(line) for line in commit.splitlines()]
    files = {row["value"]["path"]: row["value"] for row in rows if row["key"] == "file"}
    assert set(files) == {"README.md", "mapper.safetensors"}
    sent = base64.b64decode(files["mapper.safetensors"]["content"])
    assert sent == bundle.path("mapper").read_bytes()
    assert hub.seen[0][2] == "Bearer hf_secret"


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "no address"])
def test_an_unreachable_hub_is_reported_in_one_sentence(bundle, online, endpoint):
    with pytest.raises(RequestError, match="upload to me/tmsa failed.*log in") as said:
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
