"""On a ZeroGPU Space networks run inside decorated calls, and nothing else does."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from tmsa_core import EditRequest, load_editor
from tmsa_core.errors import NoFaceError
from tmsa_core.server.editors import SECONDS, on_gpu


def test_elsewhere_nothing_is_wrapped():
    assert on_gpu() is None


def test_on_a_space_functions_ask_for_the_gpu_for_some_seconds(monkeypatch):
    asked: list[int] = []

    class Spaces:
        @staticmethod
        def GPU(duration: int) -> Callable[..., Any]:  # noqa: N802 - the library's name
            asked.append(duration)
            return lambda function: function

    monkeypatch.setattr("tmsa_core.server.editors.spaces", Spaces)
    wrapper = on_gpu()
    assert wrapper is not None and wrapper(len) is len and asked == [SECONDS]


def test_only_networks_run_on_the_gpu_and_only_plain_values_go_there(editor, portrait):
    calls: list[str] = []

    def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            calls.append(function.__name__)
            return pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(args)))))

        return call

    wrapped = load_editor("avatar", device="cpu", on_gpu=recorded)
    assert "clip" in wrapped.models._loaded, "the process with the GPU sees what is loaded now"
    with pytest.raises(NoFaceError):
        wrapped.prepare(Image.new("RGB", (200, 200), "white"))
    wrapped.align(portrait)
    assert calls == []  # faces are found on the CPU, so that none of this costs quota
    prepared = wrapped.prepare(portrait, aligned=True)
    assert calls == ["_invert", "_synthesise"]
    request = EditRequest("human face", "human face with glasses")
    result = wrapped.edit(prepared, request)
    assert calls[2:] == ["_compute_shift", "_synthesise"]
    wrapped.edit_many([prepared, prepared], [request, request])
    wrapped.scores(prepared, result)
    wrapped.sample(1)
    assert calls[4:] == ["_synthesise", "_score", "_sample_w_plus", "_synthesise"]
    plain = editor.edit(editor.prepare(portrait, aligned=True), request)
    assert plain.crop.tobytes() == result.crop.tobytes()
