"""HFGI in the editor: a bundle with its weights offers it, one without says so."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tmsa_core import EditRequest, load_editor
from tmsa_core.bundles import checkpoints_folder
from tmsa_core.cli.main import main
from tmsa_core.errors import RequestError
from tmsa_core.training.avatar import hfgi
from tmsa_core.weights.manifest import register_file
from tmsa_core.weights.network_files import save_network

GLASSES = EditRequest("human face", "human face with glasses", paste_back=False)


def copy_bundle(folder, without=()):
    shutil.copytree(checkpoints_folder() / "avatar", folder, copy_function=shutil.copy)
    manifest = folder / "bundle.json"
    content = json.loads(manifest.read_text())
    for role in without:
        content["files"].pop(role, None)
    manifest.write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def with_hfgi(tmp_path_factory, device):
    """An editor on the avatar bundle with an aligner and residual encoder of random weights."""
    folder = copy_bundle(tmp_path_factory.mktemp("checkpoints") / "avatar")
    torch.manual_seed(0)
    model = hfgi.HFGI(**hfgi.ARCHITECTURE)
    save_network("hfgi", model, folder / "hfgi.safetensors", hfgi.ARCHITECTURE, {})
    register_file(folder, "avatar", "hfgi", "hfgi", "hfgi.safetensors", "test")
    return load_editor("avatar", device=device, folder=folder)


@pytest.fixture(scope="module")
def prepared(with_hfgi, portrait):
    return with_hfgi.prepare(portrait, inversion="hfgi", aligned=True)


def test_the_residual_is_the_crop_minus_the_e4e_inversion(with_hfgi, prepared, portrait):
    plain = with_hfgi.prepare(portrait, aligned=True)
    assert with_hfgi.inversions == ("e4e", "hfgi")
    assert prepared.inversion == "hfgi" and plain.residual is None
    assert torch.equal(prepared.w_plus, plain.w_plus)
    residual = np.asarray(portrait) / 127.5 - np.asarray(plain.inversion_crop) / 127.5
    assert np.abs(prepared.residual.permute(1, 2, 0).numpy() - residual).max() < 0.01
    assert prepared.inversion_crop.tobytes() != plain.inversion_crop.tobytes()


def test_alpha_zero_is_the_inversion_bit_for_bit(with_hfgi, prepared):
    result = with_hfgi.edit(prepared, replace(GLASSES, alpha=0.0))
    assert result.crop.tobytes() == prepared.inversion_crop.tobytes()


def test_an_edit_moves_w_plus_and_keeps_the_residual(with_hfgi, prepared):
    result = with_hfgi.edit(prepared, GLASSES)
    shift = with_hfgi.shift(GLASSES.neutral_text, GLASSES.target_text)
    assert torch.allclose(result.w_plus, prepared.w_plus + shift, atol=1e-5)
    plain = with_hfgi.edit(replace(prepared, residual=None, inversion="e4e"), GLASSES)
    assert result.crop.tobytes() != plain.crop.tobytes()


def test_a_batch_gives_the_same_as_one_by_one(with_hfgi, prepared, portrait):
    plain = with_hfgi.prepare(portrait, aligned=True)
    faces, edits = [prepared, plain, prepared], [GLASSES, GLASSES, replace(GLASSES, alpha=0.5)]
    many = with_hfgi.edit_many(faces, edits)
    for face, edit, result in zip(faces, edits, many, strict=True):
        alone = with_hfgi.edit(face, edit)
        assert torch.equal(result.w_plus, alone.w_plus)
        off = np.abs(np.asarray(result.crop, int) - np.asarray(alone.crop, int))
        assert off.max() <= 1  # sums in another order
    assert many[0].crop.tobytes() != many[1].crop.tobytes()


def test_a_bundle_without_weights_says_so(tmp_path, portrait, device):
    editor = load_editor(
        "avatar", device=device, folder=copy_bundle(tmp_path / "avatar", without=["hfgi"])
    )
    assert editor.inversions == ("e4e",)
    with pytest.raises(RequestError, match="'hfgi', but the avatar bundle has weights for e4e"):
        editor.prepare(portrait, inversion="hfgi", aligned=True)


def test_the_command_line_takes_the_inversion(with_hfgi, portrait, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tmsa_core.editing.load.load_editor", lambda *_, **__: with_hfgi)
    portrait.save(tmp_path / "in.png")
    files = [str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png")]
    texts = ["--target", GLASSES.target_text, "--aligned", "--crop-only"]
    assert main(["edit", *files, *texts, "--inversion", "hfgi"]) == 0, capsys.readouterr().err
    prepared = with_hfgi.prepare(tmp_path / "in.png", inversion="hfgi", aligned=True)
    expected = with_hfgi.edit(prepared, GLASSES).crop
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(expected))
