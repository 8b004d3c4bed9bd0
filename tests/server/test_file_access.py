"""No call and no event of the page reads a file that is not its own."""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from tmsa_core import Editor
from tmsa_core.api.lenient_blocks import LenientBlocks
from tmsa_core.errors import ImageError
from tmsa_core.server.call_files import FILE_COMPONENTS, NO_FILE
from tmsa_core.server.file_leases import NO_ROOM, NOT_SENT, Leases
from tmsa_core.ui.page import build_ui, launch_options

META = {"_type": "gradio.FileData"}
TEXTS = ("human face", "human face with sunglasses")
VICTIM, MALLORY = "victim", "mallory"


@dataclass(frozen=True)
class Site:
    """A page, and the files on its server that only others may use."""

    blocks: LenientBlocks
    upload: str
    forbidden: dict[str, str]


@pytest.fixture(scope="module")
def site(editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("cache")))
        blocks = build_ui(editor)
        leases = blocks.leases
        folder = leases.new_folder()
        sent, linked, answered = (folder / f"{name}.png" for name in ("sent", "link", "answer"))
        sent.write_bytes(b"the victim's")
        linked.symlink_to(sent)
        answered.write_bytes(b"the victim's result")
        leases.expect(str(sent), str(linked))
        leases.answer(str(answered))
        with leases.using(VICTIM, [str(sent)]):
            pass
        forbidden = {
            "the upload root": get_upload_folder(),
            "the page's folder": str(leases.folder),
            "the folder of an upload": str(folder),
            "a link": str(linked),
            "a way up": f"{folder}/../{folder.name}/sent.png",
            "an upload of another client": str(sent),
            "a result of another session": leases.keep(VICTIM, Image.new("RGB", (5, 5))),
            "an answer to a call": str(answered),
            "a file of the machine": __file__,
            "a relative path": "pyproject.toml",
            "no file": str(folder / "nothing.png"),
            "a path with NUL": f"{sent}\0.png",
            "a path with a surrogate": f"{sent}\ud800",
            "a long path": "/" + "a" * 300,
        }
        yield Site(blocks, str(sent), forbidden)


async def refused(site: Site, function: Any, values: list[Any], client: str = MALLORY) -> str:
    """What a client is told that calls a function with values; "" where the call is done."""
    try:
        await site.blocks.process_api(
            block_fn=function, inputs=values, session_hash=client, event_id="a call"
        )
    except gr.Error as error:
        return str(error.message)
    return ""


def refusal(site: Site, function: Any, values: list[Any], client: str = MALLORY) -> str:
    """``refused``, waited for."""
    return asyncio.run(refused(site, function, values, client))


def forms(path: str, part: Any) -> list[Any]:
    """The ways in which a value may name a file."""
    file = {"path": path, "meta": META}
    deep = [{"a": [{"b": file | {"is_stream": True}}]}]
    bare = [path, [path]] if isinstance(part, FILE_COMPONENTS) else []
    return [{"path": path}, [file], {"image": file, "caption": None}, deep, *bare]


async def accepted(site: Site, function: Any) -> list[Any]:
    """What a function of the page or the API does not refuse."""
    found = []
    for index, part in enumerate(function.inputs):
        values = [(kind, {"path": p, "meta": META}) for kind, p in site.forbidden.items()]
        values += [("form", value) for value in forms(site.upload, part)]
        for kind, value in values:
            sent: list[Any] = [None] * len(function.inputs)
            sent[index] = value
            said = await refused(site, function, sent)
            if said not in (NOT_SENT, NO_FILE.format(function.api_name or function.name)):
                found.append((function.api_name or function.name, index, kind, value))
    return found


def test_no_endpoint_and_no_event_accepts_a_file_of_another(site: Site) -> None:
    async def all_accepted() -> list[Any]:
        return [found for f in site.blocks.fns.values() for found in await accepted(site, f)]

    assert not asyncio.run(all_accepted())
    names = {f.name for f in site.blocks.fns.values() if f.inputs}
    assert {"edit", "align", "invert", "sweep", "batch", "restore", "claim_uploads", "run"} <= names


def test_the_refusal_names_no_file() -> None:
    assert "/" not in NOT_SENT and "tmsa" not in NOT_SENT


@pytest.mark.parametrize("path", [1, ["a"], {"a": 1}, True], ids=repr)
def test_a_path_that_is_no_text_is_refused(site: Site, path: Any) -> None:
    function = next(f for f in site.blocks.fns.values() if f.api_name == "align")
    assert refusal(site, function, [{"path": path, "meta": META}]) == NO_FILE.format("align")


@pytest.mark.parametrize("meta", [1, "FileData", ["_type"], None], ids=repr)
def test_metadata_that_is_no_object_is_refused(site: Site, meta: Any) -> None:
    function = next(f for f in site.blocks.fns.values() if f.api_name == "align")
    assert refusal(site, function, [{"path": site.upload, "meta": meta}], VICTIM) == NO_FILE.format(
        "align"
    )


def test_an_upload_belongs_to_the_first_client_that_uses_it() -> None:
    leases = Leases()
    path = leases.new_folder() / "mine.png"
    path.write_bytes(b"mine")
    leases.expect(str(path))
    for _ in range(2):
        with leases.using("me", [str(path)]):
            pass
    with pytest.raises(ImageError), leases.using("you", [str(path)]):
        pass
    with pytest.raises(ImageError), leases.using(leases.anonymous("127.0.0.1"), [str(path)]):
        pass


def test_a_visitor_may_hand_back_results_and_everybody_the_samples() -> None:
    leases = Leases()
    result, sample = (leases.keep("me", Image.new("RGB", (side, 2))) for side in (2, 3))
    leases.share(sample)
    with leases.using("me", [result, sample]), leases.using("you", [sample]):
        pass
    with pytest.raises(ImageError), leases.using("you", [sample, result]):
        pass
    leases.leave("me")
    leases.leave("you")
    assert Path(sample).exists() and not Path(result).exists()


def test_the_same_image_has_another_path_for_each_visitor() -> None:
    leases, image = Leases(), Image.new("RGB", (4, 4))
    path = leases.keep("me", image)
    written = Path(path).stat().st_ino
    assert leases.keep("me", image.copy()) == path and Path(path).stat().st_ino == written
    assert leases.keep("you", image) != path
    assert [file.name for file in Path(path).parent.iterdir()] == ["image.png"]


@pytest.fixture(scope="module")
def address(site: Site) -> Iterator[str]:
    """The same page, served."""
    from tests.conftest import free_port

    options = {"prevent_thread_lock": True, "quiet": True, "server_port": free_port()}
    _, address, _ = site.blocks.launch(**options, **launch_options())
    yield f"{address}gradio_api"
    site.blocks.close(verbose=False)


def upload(address: str, content: bytes) -> str:
    [path] = httpx.post(f"{address}/upload", files={"files": ("me.png", content)}).json()
    return path


def answer(address: str, name: str, data: list[Any], **session: str) -> str:
    """The whole answer to a call."""
    call = httpx.post(f"{address}/call/{name}", json={"data": data, **session})
    assert call.status_code == 200, call.text
    event = call.json()["event_id"]
    return httpx.get(f"{address}/call/{name}/{event}", timeout=120).text


def test_uploads_of_the_same_image_have_paths_that_nobody_can_guess(address: str) -> None:
    first, second = (Path(upload(address, b"the same")) for _ in range(2))
    assert first != second and first.parents[1] != second.parents[1]
    assert len(first.parents[1].name) == 32  # 128 random bits


@pytest.mark.parametrize("name", ["edit", "align", "invert", "sweep", "batch"])
def test_endpoints_refuse_over_http(site: Site, address: str, name: str) -> None:
    for path in site.forbidden.values():
        if "\0" in path or not path.isprintable():
            continue
        file = {"path": path, "meta": META}
        said = answer(address, name, [[file] if name == "batch" else file, *TEXTS])
        assert NOT_SENT in said and "event: complete" not in said
        assert site.upload not in said


def test_scripts_without_a_session_use_an_upload_several_times(
    address: str, portrait: Image.Image, tmp_path: Path
) -> None:
    portrait.save(tmp_path / "me.png")
    path = upload(address, (tmp_path / "me.png").read_bytes())
    file = {"path": path, "meta": META}
    for _ in range(2):
        said = answer(address, "invert", [file, "e4e", 0, True])
        assert "event: complete" in said
    assert NOT_SENT in answer(address, "invert", [file, "e4e", 0, True], session_hash=MALLORY)


def test_a_data_url_is_a_file_of_the_client(address: str, portrait: Image.Image) -> None:
    from tmsa_core.imaging.metadata import encode_image
    from tmsa_core.server.files import data_url

    url = data_url(encode_image(portrait, {}, False, ".jpg"))
    assert "event: complete" in answer(address, "invert", [{"url": url}, "e4e", 0, True])
    broken = {"url": "data:image/png;base64,A"}
    assert "cannot be decoded" in answer(address, "invert", [broken])


def test_only_registered_files_are_served(site: Site, address: str) -> None:
    path = upload(address, b"mine")
    assert httpx.get(f"{address}/file={path}").content == b"mine"
    assert httpx.get(f"{address}/file/{path}").content == b"mine"
    for kind in ("the upload root", "the page's folder", "a link", "no file"):
        for form in ("file=", "file/"):
            assert httpx.get(f"{address}/{form}{site.forbidden[kind]}").status_code == 404


def test_unknown_names_and_streams_get_a_sentence(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for route in ("run/nope", "call/nope", "run/" + "n" * 300):
        said = httpx.post(f"{address}/{route}", json={"data": []})
        assert said.status_code == 400 and "no such endpoint" in said.json()["error"]
        assert len(said.text) < 600
    for route in ("queue/data?session_hash=nobody", "call/edit/nothing"):
        said = httpx.get(f"{address}/{route}")
        assert said.status_code == 200 and "There is no such call" in said.text
    output = capfd.readouterr()
    assert "Traceback" not in output.err + output.out


# Gradio leaves the files of an upload that fails to the collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_forms_that_are_no_uploads_get_a_sentence_and_leave_nothing(
    site: Site, address: str
) -> None:
    before = set(site.blocks.leases.folder.rglob("*"))
    for body in ({"data": {"files": "a text"}}, {"files": {"other": b"a"}}):
        said = httpx.post(f"{address}/upload?upload_id=1", **body)
        assert said.status_code == 400 and said.json()["error"]
    gc.collect()
    assert set(site.blocks.leases.folder.rglob("*")) == before


# Gradio leaves the files of an upload that fails to the collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_full_disk_is_told_in_a_sentence_and_leaves_no_half_file(
    site: Site, address: str, portrait: Image.Image
) -> None:
    before = set(site.blocks.leases.folder.rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        sent = httpx.post(f"{address}/upload", files={"files": b"a" * 2000})
        said = answer(address, "sample", [1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    gc.collect()
    assert sent.status_code == 507 and "no room" in sent.json()["error"]
    assert NO_ROOM in said
    left = {p for p in set(site.blocks.leases.folder.rglob("*")) - before if p.is_file()}
    assert not left
