"""HFGI and SFE in the editor: a bundle with their weights offers them, one without says so."""

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
from tmsa_core.imaging.images import to_image, to_tensor
from tmsa_core.training.avatar import hfgi, sfe
from tmsa_core.weights.architectures import build_network
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
def detailed(tmp_path_factory, device):
    """An editor on the avatar bundle with HFGI and SFE of random weights."""
    folder = copy_bundle(tmp_path_factory.mktemp("checkpoints") / "avatar")
    torch.manual_seed(0)
    for name, architecture in (("hfgi", hfgi.ARCHITECTURE), ("sfe", sfe.ARCHITECTURE)):
        model = build_network(name, architecture)
        save_network(name, model, folder / f"{name}.safetensors", architecture, {})
        register_file(folder, "avatar", name, name, f"{name}.safetensors", "test")
    return load_editor("avatar", device=device, folder=folder)


@pytest.fixture(scope="module", params=["hfgi", "sfe"])
def prepared(request, detailed, portrait):
    return detailed.prepare(portrait, inversion=request.param, aligned=True)


def test_the_residual_is_the_crop_minus_the_e4e_inversion(detailed, portrait):
    plain = detailed.prepare(portrait, aligned=True)
    prepared = detailed.prepare(portrait, inversion="hfgi", aligned=True)
    assert detailed.inversions == ("e4e", "hfgi", "sfe")
    assert prepared.inversion == "hfgi" and plain.details == ()
    found, _ = prepared.details
    residual = np.asarray(portrait) / 127.5 - np.asarray(plain.inversion_crop) / 127.5
    assert np.abs(found.permute(1, 2, 0).numpy() - residual).max() < 0.01


def test_the_features_of_sfe_are_those_of_its_networks(detailed, portrait):
    prepared = detailed.prepare(portrait, inversion="sfe", aligned=True)
    features, code, own = prepared.details
    network, generator = (detailed.bundle.load(role) for role in ("sfe", "generator"))
    with torch.inference_mode():
        codes, expected = network.invert(generator, to_tensor(portrait), code[None])
        lower, _ = generator.synthesise_lower(generator.to_styles(codes), network.side)
    assert torch.allclose(features, expected[0], atol=1e-4)
    assert torch.allclose(own, lower[0], atol=1e-4)
    assert torch.equal(code, detailed.prepare(portrait, aligned=True).w_plus)


def test_details_change_the_inversion_but_not_the_code(detailed, prepared, portrait):
    plain = detailed.prepare(portrait, aligned=True)
    assert torch.equal(prepared.w_plus, plain.w_plus)
    assert prepared.inversion_crop.tobytes() != plain.inversion_crop.tobytes()


def test_alpha_zero_is_the_inversion_bit_for_bit(detailed, prepared):
    result = detailed.edit(prepared, replace(GLASSES, alpha=0.0))
    assert result.crop.tobytes() == prepared.inversion_crop.tobytes()


def test_an_edit_moves_w_plus_and_keeps_the_details(detailed, prepared):
    result = detailed.edit(prepared, GLASSES)
    shift = detailed.shift(GLASSES.neutral_text, GLASSES.target_text)
    assert torch.allclose(result.w_plus, prepared.w_plus + shift, atol=1e-5)
    plain = detailed.edit(replace(prepared, details=(), inversion="e4e"), GLASSES)
    assert result.crop.tobytes() != plain.crop.tobytes()


def test_sfe_edits_by_the_change_of_the_generators_features(detailed, portrait):
    """The steps of the method, one by one, for a stack of two edits."""
    prepared = detailed.prepare(portrait, inversion="sfe", aligned=True)
    stack = [GLASSES, replace(GLASSES, target_text="smiling human face", alpha=-0.5)]
    network, generator = (detailed.bundle.load(role) for role in ("sfe", "generator"))
    features, code, before = (value[None] for value in prepared.details)
    with torch.inference_mode():
        styles = generator.to_styles(code + detailed.total_shift(stack))
        after, image = generator.synthesise_lower(styles, network.side)
        edited = network.edited_features(features, before - after)
        expected = to_image(generator.synthesise_upper(styles, edited, image))
    found = detailed.edit(prepared, stack).crop
    off = np.abs(np.asarray(found, int) - np.asarray(expected, int))
    assert off.max() <= 1 and found.tobytes() != prepared.inversion_crop.tobytes()


def test_a_region_keeps_the_rest_of_the_crop(detailed, prepared):
    mask = Image.new("L", prepared.photo.size)
    mask.paste(255, (0, 0, mask.width, mask.height // 2))
    result = detailed.edit(prepared, replace(GLASSES, region=mask))
    change = np.abs(np.asarray(result.crop, int) - np.asarray(prepared.inversion_crop, int))
    assert change[: mask.height // 2].max() > 10
    assert change[mask.height * 3 // 4 :].max() == 0


def test_a_batch_gives_the_same_as_one_by_one(detailed, prepared, portrait):
    plain = detailed.prepare(portrait, aligned=True)
    faces, edits = [prepared, plain, prepared], [GLASSES, GLASSES, replace(GLASSES, alpha=0.5)]
    many = detailed.edit_many(faces, edits)
    for face, edit, result in zip(faces, edits, many, strict=True):
        alone = detailed.edit(face, edit)
        assert torch.equal(result.w_plus, alone.w_plus)
        off = np.abs(np.asarray(result.crop, int) - np.asarray(alone.crop, int))
        assert off.max() <= 1  # sums in another order
    assert many[0].crop.tobytes() != many[1].crop.tobytes()


def test_a_bundle_without_weights_says_so(tmp_path, portrait, device):
    editor = load_editor(
        "avatar", device=device, folder=copy_bundle(tmp_path / "avatar", without=["hfgi", "sfe"])
    )
    assert editor.inversions == ("e4e",)
    with pytest.raises(RequestError, match="'hfgi', but the avatar bundle has weights for e4e"):
        editor.prepare(portrait, inversion="hfgi", aligned=True)


def test_the_command_line_takes_the_inversion(detailed, portrait, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tmsa_core.editing.load.load_editor", lambda *_, **__: detailed)
    portrait.save(tmp_path / "in.png")
    files = [str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png")]
    texts = ["--target", GLASSES.target_text, "--aligned", "--crop-only"]
    assert main(["edit", *files, *texts, "--inversion", "hfgi"]) == 0, capsys.readouterr().err
    prepared = detailed.prepare(tmp_path / "in.png", inversion="hfgi", aligned=True)
    expected = detailed.edit(prepared, GLASSES).crop
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(expected))
