"""The table of calls: each draws its values, and raises where an answer is not a sentence."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.fuzz.judge import FaultError, fault_of_command
from tests.fuzz.values import Draw
from tests.live import ROOT
from tmsa_core import EditRequest, load_editor
from tmsa_core.api.endpoints import Endpoints
from tmsa_core.api.values import stacked
from tmsa_core.cli.main import main
from tmsa_core.editing.archives import read_entries
from tmsa_core.editing.batch import BatchOptions, run_batch
from tmsa_core.imaging.images import load_image
from tmsa_core.imaging.metadata import encode_png, read_recipe
from tmsa_core.text.cleaning import clean_text
from tmsa_core.ui.links import from_query, from_recipe
from tmsa_core.validation import number, parse_levels, whole

if TYPE_CHECKING:
    from tests.fuzz.runners import Visitor
    from tmsa_core import Editor, PreparedFace

EDIT = EditRequest("human face", "human face with glasses")
TAKE_FILES = ("edit", "align", "invert", "sweep", "batch")
LIMIT_OF_SHELL = 50.0  # seconds, of which most load the libraries


@dataclass(frozen=True)
class World:
    """What calls in this process work on."""

    editor: Editor
    face: PreparedFace


def request(d: Draw) -> Any:
    """An edit with a field of any kind, a list of such edits, or no edit."""
    fields: dict[str, Any] = {"neutral_text": d.text(), "target_text": d.text()}
    fields[d.pick("alpha", "levels", "threshold", "paste_back", "target_text")] = d.any()
    edit = EditRequest(**fields)
    return d.pick(edit, edit, [edit] * 3, d.any)


def batch(d: Draw, world: World) -> None:
    """Up to twenty rows of a batch."""
    field = d.pick("inversion", "face", "aligned", "format")
    options = d.pick(BatchOptions(aligned=True), BatchOptions(**{field: d.any()}))
    sent, out = d.file(d.archive(), "sent.zip"), d.folder / "out.zip"
    few(run_batch(world.editor, [sent], [EDIT], out, options), 20)


def few(rows: Any, most: int) -> None:
    """Draw some rows and stop."""
    for _ in islice(rows, most):
        pass


PYTHON: tuple[Callable[[Draw, World], Any], ...] = (
    lambda d, w: load_image(d.image()),
    lambda d, w: load_image(d.file(d.image())),
    lambda d, w: load_image(d.pick(d.array, d.opened, d.any, d.path)),
    lambda d, w: w.editor.edit(d.pick(w.face, w.face, w.face, d.any), request(d)),
    lambda d, w: w.editor.prepare(d.pick(d.image, d.portrait, d.any), inversion=d.any()),
    lambda d, w: w.editor.prepare(d.portrait, face=d.any(), aligned=d.any()),
    lambda d, w: w.editor.sample(d.any(), d.any()),
    lambda d, w: w.editor.draw(d.text(), d.any()),
    lambda d, w: w.editor.shift(d.text(), d.text()),
    lambda d, w: (w.editor.unknown_words(d.text()), w.editor.embed_text(d.text())),
    lambda d, w: load_editor(**{d.pick("device", "dtype"): d.any(), "domain": "car"}),
    lambda d, w: load_editor(d.any()),
    lambda d, w: from_recipe(d.pick(d.recipe, d.any)),
    lambda d, w: read_recipe(d.pick(lambda: d.file(d.image()), d.path)),
    lambda d, w: from_query([(d.pick("target", "alpha", "seed", "levels"), str(d.any()))] * 3),
    lambda d, w: (number(d.any(), "alpha"), whole(d.any(), "face")),
    lambda d, w: parse_levels(d.any()),
    lambda d, w: clean_text(d.text()),
    lambda d, w: stacked(EDIT, d.pick(d.edits, lambda: json.dumps(d.edits()))),
    lambda d, w: few(read_entries([d.file(d.archive(), "a.zip"), Path(str(d.path()))]), 3000),
    batch,
    batch,
)

# Nothing here trains, fetches, publishes or serves where the arguments happen to be right.
REFUSED = (
    ("train", "no-domain"), ("train", "avatar", "no-stage"), ("download", "no-domain"),
    ("evaluate", "--images", "0"), ("evaluate", "--prompts", "/dev/null"), ("domains",), (),
    ("measure", "no-study"), ("figures", "no-figure"), ("publish", "no-domain", "x"), ("no",),
)  # fmt: skip
OPTIONS = (
    "--target", "--neutral", "--alpha", "--levels", "--threshold", "--face", "--inversion",
    "--domain", "--device", "--format", "--from", "--steps", "--seed", "--truncation", "--no",
)  # fmt: skip
FLAGS = ("--aligned", "--crop-only", "--notice", "--help", "--version")
OUTPUTS = (
    "out.png", "out.jpg", "out.zip", "out", "out.exe", "sent", "sent.zip", "null.png", "no/o.png",
    "", "x" * 300 + ".png",
)  # fmt: skip


def command_line(d: Draw) -> list[str]:
    """A command line of ``tmsa``; its files are in the draw's folder."""

    def word() -> str:
        return d.pick(d.name, lambda: str(d.number()), "0,1", "cpu")

    name = d.pick("edit", "edit", "sweep", "align", "batch", "batch", "sample", "convert", "")
    if not name:
        return [*d.pick(*REFUSED), word()]
    d.file(d.pick(d.image, d.archive))
    (d.folder / "sent.zip").symlink_to("sent")
    (d.folder / "null.png").symlink_to("/dev/null")  # a link: what replaces it spares the device
    here = [str(d.folder / name) for name in ("sent", "sent", "sent.zip", "missing")]
    source = d.pick(*here, str(d.file(encode_png(d.portrait), "own.png")), "/dev/zero", "")
    if name == "convert":
        return [name, d.pick("e4e", "hfgi", "arcface", "no"), source, str(d.folder / "out")]
    made = [name] if name == "sample" else [name, source]
    made += ["-o", str(d.folder / d.pick(*OUTPUTS)), *d.pick((), (d.pick(*FLAGS),))]
    if name in ("edit", "sweep", "batch"):
        made += ["--target", word()]
    return [*made, *d.pick((), (d.pick(*OPTIONS), word()))]


def command(d: Draw, world: World) -> None:
    """A command that runs in this process."""
    line, errors = command_line(d), io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        status = main(line)
    if fault := fault_of_command(line, status, errors.getvalue()):
        raise FaultError(fault)


def shell(d: Draw, world: World) -> None:
    """A command as a shell runs it."""
    line = command_line(d)
    done = subprocess.run(
        [sys.executable, "-m", "tmsa_core", *line],
        cwd=d.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=LIMIT_OF_SHELL,
    )
    if fault := fault_of_command(line, done.returncode, done.stderr.decode(errors="replace")):
        raise FaultError(fault)


ENDPOINTS = {
    name: [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    for name, function in vars(Endpoints).items()
    if inspect.isfunction(function) and not name.startswith("_")
}
POSTS = (
    "call/edit", "call/sample", "call/v2/edit", "queue/join", "run/edit", "cancel", "upload",
    "component_server", "reset", "mcp/", "call/no-such", "api/edit",
)  # fmt: skip
RUNS = ("queue/join", "queue/join", "run/x", "run/edit", "api/nope", "api/domains", "run/nope")
KINDS = ("application/json", "multipart/form-data; boundary=x", "multipart/form-data", "")
BODIES = (
    b"", b"{", b"null", b"[]", b'"x"', b"[" * 100_000, b'{"data":' * 50_000, b'{"data": [NaN]}',
    b'{"data": [' + b"9" * 5_000 + b"]}", b"\xff\xfe\x00", b'{"data": 1}', b'{"data": null}',
    b'{"data": ["' + b"a" * (30 << 20) + b'"]}', b'{"data": [], "session_hash": {}}',
    b'{"data": [], "fn_index": "x"}', b'{"data": "' + b"x" * 5_000 + b'"}', b"--x\r\n\r\n",
    b"--x\r\nContent-Disposition: form-data; name=files; filename=a\r\n\r\nabc",
)  # fmt: skip
# "{}" stands for a word. Gradio's routes, and those of the page.
API = """file={} proxy=http://127.0.0.1:9/{} file=http://127.0.0.1:9/{} call/edit/{} info?{}
    queue/data?session_hash={} heartbeat/{} upload_progress?upload_id={} openapi.json runs app_id
    stream/{}/0/0/playlist.m3u8 custom_component/{}/client/component/x.js process_recording run/{}
    deep_link startup-events mcp/ file/{} theme.css queue/status token"""
PAGE = """/ /?target={}&alpha={} /config /static/{} /assets/{} /manifest.json /pwa_icon/{}
    /monitoring/{} /login /{} /svelte/{}"""
PATHS = (*(f"/gradio_api/{path}" for path in API.split()), *PAGE.split())
ENDLESS = ("heartbeat", "queue/data", "progress", "mcp", "startup")
METHODS = ("GET", "GET", "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS")


def file_data(path: Any, **more: Any) -> dict[str, Any]:
    """A file as Gradio's clients name it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}} | more


def good(name: str, own: str) -> dict[str, Any]:
    """The right values of a call. own: the path of an upload."""
    values = {p.name: p.default for p in ENDPOINTS[name] if p.name != "progress"}
    ours = {"image": file_data(own), "files": [file_data(own)], "steps": 2}
    ours |= {"neutral_text": EDIT.neutral_text, "target_text": EDIT.target_text}
    return values | {key: value for key, value in ours.items() if key in values}


def wrong_values(d: Draw, v: Visitor) -> None:
    """A call with one or two values of the wrong kind, or with some left out."""
    name = d.pick(*ENDPOINTS)
    body = good(name, v.upload(encode_png(d.portrait)))
    for key in d.rng.sample(list(body), min(len(body), 2)):
        body[key] = d.pick(d.json, d.text, d.edits, d.number)
    v.call(name, list(body.values())[: d.pick(None, None, None, 1, 4)])


def forged_file(d: Draw, v: Visitor) -> None:
    """A call that names a file that the client has not sent, or that is none."""
    v.call("align", [file_data(v.bystander)], "bystander")  # who uses an upload first owns it
    others, v.sent, v.answers = Path(v.bystander), "", []
    stolen = d.pick(
        str(others), str(others.parent), str(v.server.cache), f"{others.parent}/../{others.name}",
        "/etc/passwd", "file:///etc/passwd", "\ud800", "a\0b", "x" * 300, "", 5, "~",
        "http://127.0.0.1:9/a.png", "http://[::1]:9/a.png", d.text,
    )  # fmt: skip
    more = {d.pick("meta", "orig_name", "size", "url", "is_stream", "mime_type"): d.json()}
    file = d.pick(file_data(stolen), file_data(stolen) | more, {"path": stolen}, {"url": stolen})
    name = d.pick(*TAKE_FILES)
    body = good(name, "") | ({"files": [file]} if name == "batch" else {"image": file})
    v.call(name, list(body.values()))
    if any("event: complete" in answer.text for answer in v.answers):
        raise FaultError("a forged file was used")


def own_file(d: Draw, v: Visitor) -> None:
    """A damaged or odd image or archive, rightly uploaded and used."""
    name = d.pick(*TAKE_FILES, "batch")
    data = d.pick(d.archive, d.image) if name == "batch" else d.image()
    own = v.upload(data, d.pick("sent.png", "sent.zip", "../../x.png", "x" * 300, ".", d.name()))
    v.call(name, list(good(name, own).values()))


def odd_body(d: Draw, v: Visitor) -> None:
    """A body that is not a call."""
    headers = {"Content-Type": d.pick(*KINDS)} | d.pick({}, {}, {"Content-Encoding": "gzip"})
    v.ask("POST", f"/gradio_api/{d.pick(*POSTS)}", content=d.pick(*BODIES), headers=headers)


def page_event(d: Draw, v: Visitor) -> None:
    """An event of the page, whether there is such a one or not."""
    body = {"session_hash": d.pick("fuzz", d.json), "fn_index": d.pick(*range(-2, 130))}
    body |= {"data": d.pick([None] * 20, ["avatar"], [d.json()] * 9, d.json)}
    body |= {d.pick("event_data", "trigger_id", "batched", "event_id"): d.json()}
    route = d.pick(*RUNS)
    answer = v.post(f"/gradio_api/{route}", body)
    if answer.status == 200 and route == "queue/join":
        session = {"session_hash": str(body["session_hash"])[:500]}
        v.ask("GET", "/gradio_api/queue/data", endless=True, params=session)


def odd_path(d: Draw, v: Visitor) -> None:
    """A route, known or not, asked for in any way."""
    word = d.pick("x", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "-1", d.name())
    path = quote(d.pick(*PATHS).replace("{}", word), safe="/?&=%:")
    endless = any(
        part in path for part in ("heartbeat", "queue/data", "progress", "mcp", "startup")
    )
    v.ask(d.pick(*METHODS), path, endless=endless)


HTTP: tuple[Callable[[Draw, Visitor], None], ...] = (
    wrong_values, wrong_values, wrong_values, forged_file, forged_file, own_file, own_file,
    odd_body, page_event, odd_path,
)  # fmt: skip

CALLS: dict[str, tuple[Callable[[Draw, Any], Any], ...]] = {
    "python": PYTHON,
    "command": (command,),
    "shell": (shell,),
    "http": HTTP,
}
