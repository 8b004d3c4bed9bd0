"""Quick alignment on a copy of the avatar bundle: its result, its cost, invalid arguments."""

import shutil
from dataclasses import replace

import pytest
import torch

from tests.tiny_networks import few_calibration_texts
from tmsa_core.bundles import checkpoints_folder, open_bundle
from tmsa_core.domains import DOMAINS
from tmsa_core.editing.shift import embed_text, semantic_shift
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.training.mapper import calibrate, quick
from tmsa_core.training.mapper import export as save
from tmsa_core.weights.network_files import read_metadata, save_tensors


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "avatar"
    shutil.copytree(checkpoints_folder() / "avatar", folder)
    return folder


@pytest.fixture(scope="module")
def run(bundle_folder):
    """The report of a small alignment, and the progress that it reported."""
    progress = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quick, "NOISES", (0.6, 1.2))
        patch.setattr(quick, "SUBJECTS", 2)
        patch.setitem(DOMAINS, "avatar", few_calibration_texts())
        patch.setattr(calibrate, "FACTORS", (0.2, 0.4))
        report = quick.quick_align(
            "avatar",
            pairs=64,
            device="cpu",
            folder=bundle_folder,
            replace=True,
            progress=lambda done, total, what: progress.append((done / total, what)),
        )
    return report, progress


def test_the_mapper_is_in_the_bundle_with_its_provenance(run, bundle_folder):
    report, _ = run
    bundle = open_bundle("avatar", bundle_folder)
    assert not any(bundle.problem(role, thorough=True) for role in bundle.files)
    origin = read_metadata(bundle.path("mapper"))["origin"]
    assert origin["pairs"] == 64 and "--quick" in origin["command"]
    assert origin["noise"] == report.noise in (0.6, 1.2)
    assert bundle.path("mapper") == report.path


def test_every_generator_evaluation_is_counted(run):
    report, _ = run
    assert report.pairs == 64
    assert report.evaluations > 64 + 2 * 2 * (1 + 2)  # the bank, then round trips


def test_progress_rises_from_0_to_1(run):
    shares = [share for share, _ in run[1]]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    assert "64" in run[1][1][1]


def test_the_new_mapper_shifts_towards_the_text(run, bundle_folder):
    bundle = open_bundle("avatar", bundle_folder)
    clip, generator = bundle.load("clip"), bundle.load("generator")
    texts = [embed_text(clip, t) for t in ("human face", "human face with sunglasses")]
    shift = semantic_shift(bundle.load("mapper"), *texts)
    z = torch.randn(8, 512, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        codes = generator.broadcast(generator.map(z))
        before = clip.embed_images(generator.synthesise(codes)) @ texts[1]
        after = clip.embed_images(generator.synthesise(codes + shift)) @ texts[1]
    assert after.mean() > before.mean() + 0.05


def test_invalid_arguments_are_refused_before_any_work(tmp_path, bundle_folder):
    with pytest.raises(RequestError, match="avatar, ffhq"):
        quick.quick_align("face", folder=bundle_folder)
    with pytest.raises(RequestError, match="at least 64"):
        quick.quick_align("avatar", pairs=3, folder=bundle_folder)
    with pytest.raises(RequestError, match="not available"):
        quick.quick_align("avatar", device="abacus", folder=bundle_folder)
    with pytest.raises(BundleError):
        quick.quick_align("avatar", folder=tmp_path)


def test_an_unwritable_folder_is_refused_before_any_work(tmp_path, bundle_folder):
    # A file instead of a folder also stops an administrator, whom permissions do not stop.
    taken = tmp_path / "taken"
    taken.write_text("")
    bundle = replace(open_bundle("avatar", bundle_folder), folder=taken / "avatar")
    with pytest.raises(BundleError, match=r"cannot be written to .*taken/avatar "):
        save.check_writable(bundle)
    (tmp_path / "x.safetensors").mkdir()
    with pytest.raises(BundleError, match=r"x.safetensors is a folder"):
        save_tensors("kind", {"x": torch.ones(2)}, tmp_path / "x.safetensors", {})
