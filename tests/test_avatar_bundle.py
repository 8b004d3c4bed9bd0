"""The committed bundle, end to end: what it draws, inverts and edits, judged by the classifier."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.avatars.scenes import Placement, scene
from tmsa_core import EditRequest
from tmsa_core.avatars.params import ATTRIBUTES, Portraits
from tmsa_core.avatars.render import render
from tmsa_core.avatars.visibility import visible
from tmsa_core.baselines import styleclip_global
from tmsa_core.baselines.interface import BASELINES, FROZEN_ROLES
from tmsa_core.bundles import open_bundle
from tmsa_core.evaluation.prompts import SIX, Prompt, fits
from tmsa_core.imaging.images import to_image, to_tensor
from tmsa_core.training.avatar.renders import held_out_portraits
from tmsa_core.weights.network_files import read_metadata

COUNT = 24


@pytest.fixture(scope="module")
def people() -> Portraits:
    return held_out_portraits(COUNT, seed=77)


@pytest.fixture(scope="module")
def faces(editor, people):
    images = render(people, editor.domain.resolution).images
    return [editor.prepare(to_image(image), aligned=True) for image in images]


@pytest.fixture(scope="module")
def judge():
    return open_bundle("avatar").load("classifier")


def probability(judge, crops, prompt: Prompt) -> torch.Tensor:
    """(N,) what the classifier gives to the options that the prompt wants."""
    shown = judge.probabilities(torch.cat([to_tensor(crop) for crop in crops]))
    (name, options) = prompt.wanted[0]
    wanted = [fits(torch.arange(len(ATTRIBUTES[name].options)), name, (o,)) for o in options]
    return shown[name][:, torch.stack(wanted).any(dim=0)].sum(dim=1)


def test_every_file_is_the_one_of_the_manifest():
    bundle = open_bundle("avatar")
    assert not any(bundle.problem(role, thorough=True) for role in bundle.files)


def test_the_bundle_stays_small():
    files = [path for path in open_bundle("avatar").folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 75e6


def test_what_comes_for_a_baseline_belongs_to_these_weights():
    bundle = open_bundle("avatar")
    (folder,) = (bundle.folder / BASELINES).iterdir()
    assert folder.name == bundle.fingerprint(FROZEN_ROLES)
    made = read_metadata(folder / "styleclip_global.safetensors")["origin"]
    assert made["pairs"] == styleclip_global.Settings().pairs and made["seconds"] > 0


def test_inversions_show_the_portrait(judge, people, faces):
    read = judge.predict(torch.cat([to_tensor(face.inversion_crop) for face in faces]))
    right, asked = 0, 0
    for name in ATTRIBUTES:
        seen = visible(people, name)
        right += int((read[name] == people.attributes[name])[seen].sum())
        asked += int(seen.sum())
    assert right / asked > 0.85


@pytest.mark.parametrize("prompt", SIX, ids=lambda p: p.name)
def test_each_prompt_raises_its_attribute(editor, judge, faces, prompt):
    before = probability(judge, [face.inversion_crop for face in faces], prompt)
    lacking = [face for face, p in zip(faces, before, strict=True) if p < 0.5]
    request = EditRequest(prompt.neutral, prompt.target)
    after = probability(judge, [editor.edit(face, request).crop for face in lacking], prompt)
    assert len(lacking) > 4
    assert (after > 0.5).float().mean() >= 0.65
    assert after.mean() > before[before < 0.5].mean() + 0.5


@pytest.mark.parametrize("prompt", SIX, ids=lambda p: p.name)
def test_the_attribute_rises_with_alpha(editor, judge, faces, prompt):
    def mean(alpha: float) -> float:
        request = EditRequest(prompt.neutral, prompt.target, alpha=alpha)
        crops = [editor.edit(face, request).crop for face in faces]
        return float(probability(judge, crops, prompt).mean())

    low, none, half, full = mean(-1.0), mean(0.0), mean(0.5), mean(1.0)
    assert low < none + 0.02 and none < half and none + 0.1 < full


def test_random_portraits_are_clearly_somebody(editor, judge):
    crops = torch.cat([to_tensor(editor.sample(seed=s).crop) for s in range(24)])
    certain = torch.stack([p.max(dim=1).values for p in judge.probabilities(crops).values()])
    assert certain.mean() > 0.8


@pytest.mark.parametrize(("roll", "scale"), [(0.0, 180.0), (30.0, 260.0), (-20.0, 420.0)])
def test_a_portrait_in_a_image_is_found_edited_and_put_back(editor, roll, scale):
    person = held_out_portraits(1, seed=5).with_(eyewear="none", costume="none", headwear="none")
    spot = Placement(620.0, 700.0, scale, roll)
    drawn = scene(person, [spot], (1000, 1500), torch.Generator().manual_seed(2))
    photo = to_image(drawn.image)
    prepared = editor.prepare(photo)
    error = (prepared.face.landmarks - drawn.landmarks[0]).norm(dim=1).mean()
    eyes = (drawn.landmarks[0, 36:42].mean(dim=0) - drawn.landmarks[0, 42:48].mean(dim=0)).norm()
    assert error / eyes < 0.08
    result = editor.edit(prepared, EditRequest("human face", "human face with sunglasses"))
    assert result.image.size == photo.size
    changed = np.abs(np.asarray(result.image).astype(int) - np.asarray(photo)).max(axis=2) > 0
    rows, columns = np.nonzero(changed)
    quad = np.array(prepared.transform.quad)
    assert changed.sum() > 100
    assert columns.min() >= quad[:, 0].min() - 1 and columns.max() <= quad[:, 0].max() + 1
    assert rows.min() >= quad[:, 1].min() - 1 and rows.max() <= quad[:, 1].max() + 1


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_other_image_modes_are_the_same_portrait(editor, mode):
    person = held_out_portraits(1, seed=9).with_(eyewear="none", costume="none")
    spot = Placement(200.0, 220.0, 150.0, 0.0)
    photo = to_image(scene(person, [spot], (400, 400), torch.Generator().manual_seed(0)).image)
    prepared = editor.prepare(photo.convert(mode))
    assert prepared.photo.mode == "RGB" and prepared.photo.size == photo.size


def test_a_rotated_file_is_turned_upright(editor, tmp_path):
    person = held_out_portraits(1, seed=9).with_(eyewear="none", costume="none")
    spot = Placement(200.0, 220.0, 150.0, 0.0)
    photo = to_image(scene(person, [spot], (400, 400), torch.Generator().manual_seed(0)).image)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    path = tmp_path / "turned.jpg"
    photo.rotate(90, expand=True).save(path, exif=exif, quality=95)
    upright, turned = editor.prepare(photo), editor.prepare(path)
    assert torch.allclose(upright.face.landmarks, turned.face.landmarks, atol=8.0)
