"""Photos at their real size, 1024 pixels: the shipped manifest with synthetic weights in it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip import create_model
from PIL import Image
from safetensors.torch import save_file

from tests.synthetic_checkpoints import PUBLIC, write_checkpoint
from tmsa_core import EditRequest, PreparedFace, load_editor
from tmsa_core.bundles import complete, open_bundle
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.weights.manifest import register_file
from tmsa_core.weights.network_files import save_network

SHIPPED = Path(__file__).parent.parent / "checkpoints"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photo domain's folder, about 3 GB: its downloads lie in it as if put there by hand."""
    root = tmp_path_factory.mktemp("full")
    folder = root / "checkpoints" / "ffhq"
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMSA_CACHE", str(root / "cache"))
        write_checkpoint("e4e", folder / "e4e_ffhq_encode.pt", PUBLIC)
        write_checkpoint("arcface", folder / "model_ir_se50.pth", PUBLIC)
        torch.manual_seed(0)
        clip = create_model("ViT-B-32-quickgelu").state_dict()
        save_file(clip, folder / "open_clip_model.safetensors", {"format": "pt"})
        predictor = folder / "shape_predictor_68_face_landmarks.dat"
        shutil.copyfile(SHIPPED / "avatar" / "landmarks.dat", predictor)
        shutil.copyfile(SHIPPED / "avatar" / "face_detector.svm", folder / "face_detector.svm")
        manifest = json.loads((SHIPPED / "ffhq" / "bundle.json").read_text())
        for name, download in manifest["downloads"].items():
            content = (folder / name).read_bytes()
            download["bytes"] = len(content)
            download["sha256"] = hashlib.sha256(content).hexdigest()
        (folder / "bundle.json").write_text(json.dumps(manifest))
        register_file(folder, "ffhq", "detector", "dlib", "face_detector.svm", "drawn faces")
        bundle = open_bundle("ffhq", folder)
        sizes = {"levels": 18, "hidden": []}
        mapper = Mapper(**sizes)
        mapper.shift_length.fill_(5.0)
        own = bundle.cache / "ffhq"
        save_network("mapper", mapper, own / "mapper.safetensors", sizes, {})
        register_file(own, "ffhq", "mapper", "mapper", "mapper.safetensors", "of random numbers")
        complete(bundle, [role for role in bundle.files if role != "hfgi"], thorough=True)
    yield folder
    shutil.rmtree(root)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_an_edit_of_a_photo_end_to_end(photos: Path, avatar_face: PreparedFace, monkeypatch):
    monkeypatch.setenv("TMSA_CACHE", str(photos.parent.parent / "cache"))
    photo = Image.new("RGB", (2400, 1800), (96, 120, 110))
    photo.paste(avatar_face.crop.resize((1100, 1100), Image.Resampling.BICUBIC), (700, 300))
    editor = load_editor("ffhq", device="cpu", folder=photos)
    prepared = editor.prepare(photo)
    assert prepared.crop.size == prepared.inversion_crop.size == (1024, 1024)
    assert prepared.w_plus.shape == (18, 512) and len(prepared.faces) == 1
    result = editor.edit(prepared, EditRequest("human face", "human face with glasses"))
    assert result.image.size == photo.size and result.crop.size == (1024, 1024)
    changed = (np.asarray(result.image) != np.asarray(photo)).any(-1)
    rows, columns = np.nonzero(changed)
    corners = np.array(prepared.transform.quad)
    assert changed.mean() > 0.1
    assert columns.min() >= corners[:, 0].min() - 1 and columns.max() <= corners[:, 0].max() + 1
    assert rows.min() >= corners[:, 1].min() - 1 and rows.max() <= corners[:, 1].max() + 1
    stages = {"prepare": prepared.timings, "first edit": result.timings}
    again = editor.edit(prepared, EditRequest("human face", "human face with glasses", alpha=0.5))
    stages["next edit"] = again.timings
    for name, timings in stages.items():
        print(name, {stage: round(seconds, 3) for stage, seconds in timings.items()})
    identity = editor.bundle.load("identity")
    assert identity(torch.zeros(1, 3, 256, 256)).shape == (1, 512)
