"""A domain of photos in miniature: downloaded, converted, kept, damaged, repaired and edited."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from PIL import Image

from tests.hub_server import COMMIT, Hub, running_hub
from tests.synthetic_checkpoints import SMALL, write_checkpoint
from tmsa_core import EditRequest, list_domains, load_editor
from tmsa_core.api.endpoints import Endpoints
from tmsa_core.availability import needed_roles
from tmsa_core.bundles import Bundle, complete, open_bundle
from tmsa_core.cli.main import main
from tmsa_core.domains import find_domain
from tmsa_core.errors import BundleError, DownloadError, RequestError
from tmsa_core.imaging.images import to_image, to_tensor
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.server.editors import Editors, first_editor
from tmsa_core.training.mapper import calibrate, quick
from tmsa_core.training.mapper.export import save_mapper

ROOT = Path(__file__).parent.parent
AVATAR = ROOT / "checkpoints" / "avatar"
ROLES = ("generator", "e4e", "clip", "landmarks")
PLACES = {"ours/e4e": "e4e.pt", "ours/clip": "clip.safetensors", "ours/dlib": "points.dat"}


@pytest.fixture(scope="session")
def public_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files on the Hub: an e4e checkpoint in the public layout, a CLIP, a predictor."""
    folder = tmp_path_factory.mktemp("public")
    files = {"e4e.pt": write_checkpoint("e4e", folder / "e4e.pt", SMALL)}
    files["clip.safetensors"] = shutil.copyfile(AVATAR / "clip.safetensors", folder / "clip")
    files["points.dat"] = shutil.copyfile(AVATAR / "landmarks.dat", folder / "points")
    return files


@pytest.fixture
def photo_domain(
    public_files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Hub, Path]]:
    """A Hub with these files, and a folder of checkpoints whose photo domain names them."""
    files = {
        "generator": {"kind": "stylegan2", "file": "generator.safetensors", "download": "e4e.pt"},
        "e4e": {"kind": "e4e", "file": "e4e.safetensors", "download": "e4e.pt"},
        "clip": {"kind": "clip", "file": "clip.safetensors", "download": "clip.safetensors"},
        "landmarks": {"kind": "dlib", "file": "points.dat", "download": "points.dat"},
        "mapper": {"kind": "mapper", "file": "mapper.safetensors", "howto": "run `tmsa train it`"},
    }
    downloads = {
        name: {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "licence": "test",
            "layout": "e4e" if name == "e4e.pt" else "",
            "places": [
                {"repo": repo, "file": file, "revision": COMMIT}
                for repo, file in PLACES.items()
                if file == name
            ],
        }
        for name, path in public_files.items()
    }
    manifest = {"domain": "ffhq", "files": files, "downloads": downloads, "notice": "For tests."}
    folder = tmp_path / "checkpoints" / "ffhq"
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text(json.dumps(manifest))
    (folder.parent / "avatar").symlink_to(AVATAR)
    monkeypatch.setenv("TMSA_CHECKPOINTS", str(folder.parent))
    monkeypatch.setenv("TMSA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with running_hub() as hub:
        for repo, file in PLACES.items():
            hub.files[f"{repo}/{file}"] = public_files[file].read_bytes()
        yield hub, folder


def complete_roles(
    bundle: Bundle, hub: Hub, roles: tuple[str, ...] = ROLES, **options: bool
) -> list[str]:
    """Complete a bundle; returns the messages without progress."""
    messages: list[str] = []

    def progress(done: int, total: int, message: str) -> None:
        if not total:
            messages.append(message)

    complete(bundle, roles, progress, endpoint=hub.address, **options)
    return messages


def save_random_mapper(bundle: Bundle) -> None:
    """Save a mapper of random numbers in the cache, as training does."""
    torch.manual_seed(0)
    save_mapper(Mapper(10, ()), bundle, {"command": "a test"}, seconds=1.0)


def received(hub: Hub) -> list[str]:
    return [name for method, name, _ in hub.log if method == "GET"]


def test_a_domain_is_downloaded_converted_and_kept(photo_domain):
    hub, _ = photo_domain
    bundle = open_bundle("ffhq")
    status = {d.key: d for d in list_domains()}["ffhq"]
    assert not status.available and "download ffhq" in status.reason
    assert {d.name for d in status.missing} == set(PLACES.values())
    complete_roles(bundle, hub)
    assert sorted(received(hub)) == sorted(f"{r}/{f}" for r, f in PLACES.items())
    assert {bundle.path(role).suffix for role in ROLES} == {".safetensors", ".dat"}
    assert not list(bundle.cache.rglob("*.pt"))
    complete_roles(bundle, hub, thorough=True)
    assert len(received(hub)) == 3
    status = {d.key: d for d in list_domains()}["ffhq"]
    assert status.available and not status.missing and not status.can_edit
    assert "tmsa train it" in status.reason and status.notice == "For tests."


def test_images_are_inverted_without_a_mapper_and_edited_with_one(photo_domain, portrait):
    hub, _ = photo_domain
    bundle = open_bundle("ffhq")
    complete_roles(bundle, hub)
    editor = load_editor("ffhq", device="cpu")
    assert (editor.domain.resolution, editor.domain.levels) == (64, 10)
    prepared = editor.prepare(portrait, aligned=True)
    assert prepared.w_plus.shape == (10, 512) and editor.sample(3).crop.size == (64, 64)
    request = EditRequest("human face", "human face with glasses")
    with pytest.raises(BundleError, match="no mapper yet: run `tmsa train it`"):
        editor.edit(prepared, request)
    fingerprint = bundle.fingerprint()
    save_random_mapper(bundle)
    editor = load_editor("ffhq", device="cpu")
    result = editor.edit(prepared, request)
    assert result.crop.tobytes() != prepared.inversion_crop.tobytes()
    assert {d.key: d for d in list_domains()}["ffhq"].can_edit
    assert open_bundle("ffhq").fingerprint() != fingerprint
    assert not (bundle.folder / "mapper.safetensors").exists()


def test_the_quick_alignment_makes_photos_editable(photo_domain, portrait, monkeypatch, capsys):
    """From a domain that cannot edit, by the command that it names, to an edited photo."""
    monkeypatch.setattr(quick, "NOISES", (0.6, 1.2))
    monkeypatch.setattr(quick, "SUBJECTS", 2)
    monkeypatch.setattr(calibrate, "FACTORS", (0.2, 0.4))
    hub, _ = photo_domain
    bundle = open_bundle("ffhq")
    complete_roles(bundle, hub)
    assert not {d.key: d for d in list_domains()}["ffhq"].can_edit
    assert main(["train", "ffhq", "--quick", "--pairs", "64", "--device", "cpu"]) == 0
    assert f"{bundle.path('mapper')}: 64 pairs" in capsys.readouterr().out
    assert bundle.path("mapper").is_relative_to(bundle.cache)
    assert {d.key: d for d in list_domains()}["ffhq"].can_edit
    editor = load_editor("ffhq", device="cpu")
    prepared = editor.prepare(portrait, aligned=True)
    shift = editor.shift("human face", "human face with glasses")
    assert shift.shape == (10, 512) and shift.isfinite().all() and shift.norm() > 0
    result = editor.edit(prepared, EditRequest("human face", "human face with glasses"))
    assert torch.allclose(result.w_plus, prepared.w_plus + shift, atol=1e-5)
    assert result.image.size == portrait.size
    assert result.crop.tobytes() != prepared.inversion_crop.tobytes()


def test_cars_are_stretched_into_the_middle_and_come_back_in_their_proportions(photo_domain):
    hub, folder = photo_domain
    manifest = json.loads((folder / "bundle.json").read_text()) | {"domain": "car"}
    (folder.parent / "car").mkdir()
    (folder.parent / "car" / "bundle.json").write_text(json.dumps(manifest))
    complete_roles(open_bundle("car"), hub)
    editor = load_editor("car", device="cpu")
    photo = Image.new("RGB", (300, 180), (200, 30, 30))
    prepared = editor.prepare(photo)
    crop = np.asarray(prepared.crop)
    assert crop.shape == (64, 64, 3) and not crop[:8].any() and not crop[56:].any()
    assert (crop[8:56] == (200, 30, 30)).all() and prepared.faces == ()
    encoder = editor.bundle.load("e4e")
    with torch.inference_mode():  # what e4e's own transform gives it: 3/4 as high as wide
        expected = encoder(to_tensor(photo.resize((64, 48), Image.Resampling.BILINEAR)))[0]
    assert torch.allclose(prepared.w_plus, expected, atol=1e-5)
    save_random_mapper(editor.bundle)
    result = load_editor("car", device="cpu").edit(prepared, EditRequest("a car", "a sports car"))
    assert result.image.size == photo.size and result.crop.size == (64, 64)
    middle = result.crop.crop((0, 8, 64, 56)).resize(photo.size, Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(result.image, int) - np.asarray(middle, int)).max() < 40


def test_a_page_starts_with_portraits_if_photo_weights_are_unavailable(
    photo_domain, monkeypatch, capsys
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert first_editor("ffhq").domain.key == "avatar"
    said = capsys.readouterr().err
    assert "HF_HUB_OFFLINE" in said and "starts with drawn portraits" in said
    with pytest.raises(RequestError, match="dogs"):
        first_editor("dogs")


def test_damaged_files_are_fetched_before_loading(photo_domain, monkeypatch):
    hub, _ = photo_domain
    bundle = open_bundle("ffhq")
    complete_roles(bundle, hub)
    path = bundle.path("clip")
    path.write_bytes(path.read_bytes()[::-1])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=r"clip.safetensors"):
        load_editor("ffhq", device="cpu")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    complete_roles(bundle, hub, thorough=True)
    assert load_editor("ffhq", device="cpu").sample(1).crop.size == (64, 64)


@pytest.mark.parametrize("role", ["e4e", "clip"])
@pytest.mark.parametrize("kind", ["damaged", "partial", "gone"])
def test_a_wrong_file_in_the_cache_is_named_and_fetched_again(photo_domain, role, kind):
    hub, _ = photo_domain
    bundle = open_bundle("ffhq")
    complete_roles(bundle, hub)
    path = bundle.path(role)
    content = bytearray(path.read_bytes())
    if kind == "damaged":
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(BundleError, match="is damaged"):
            bundle.load(role)
    elif kind == "partial":
        path.write_bytes(content[:1000])
    else:
        path.unlink()
    news = complete_roles(bundle, hub, thorough=True)
    assert kind == "gone" or news[0].startswith(f"{path.name} is damaged")
    assert len(received(hub)) == 4
    bundle.load(role)


def test_a_damaged_manifest_in_the_cache_is_rewritten(photo_domain):
    hub, _ = photo_domain
    bundle = open_bundle("ffhq")
    complete_roles(bundle, hub)
    manifest = bundle.path("e4e").parent / "bundle.json"
    manifest.write_text(manifest.read_text()[:100])
    complete_roles(bundle, hub)
    assert received(hub).count("ours/e4e/e4e.pt") == 2
    assert {"generator", "e4e"} == json.loads(manifest.read_text())["files"].keys()
    bundle.load("e4e")


def test_files_put_into_the_folder_by_hand_need_no_network(photo_domain, public_files):
    hub, folder = photo_domain
    for name, path in public_files.items():
        shutil.copyfile(path, folder / name)
    complete_roles(open_bundle("ffhq"), hub)
    assert not hub.log
    assert (folder / "e4e.pt").exists()
    assert open_bundle("ffhq").path("landmarks") == folder / "points.dat"


def test_networks_converted_by_hand_are_recognised_by_their_origin(photo_domain, public_files):
    from tmsa_core.weights.convert import convert

    hub, folder = photo_domain
    convert("e4e", public_files["e4e.pt"], folder)
    complete_roles(open_bundle("ffhq"), hub, ("generator", "e4e"))
    assert not hub.log
    other = write_checkpoint("e4e", folder.parent / "other.pt", SMALL, namespace="other/")
    convert("e4e", other, folder)
    complete_roles(open_bundle("ffhq"), hub, ("generator", "e4e"))
    assert received(hub) == ["ours/e4e/e4e.pt"]


def test_own_weights_are_named_and_used_if_asked_for(photo_domain, capsys, monkeypatch):
    from tmsa_core.weights.convert import convert

    hub, folder = photo_domain
    other = write_checkpoint("e4e", folder.parent / "other.pt", SMALL, namespace="other/")
    convert("e4e", other, folder)
    with pytest.raises(BundleError, match=r"is there, but .* not the published file .*=1 to use"):
        open_bundle("ffhq").path("generator")
    assert main(["domains"]) == 0
    assert capsys.readouterr().out.count("is there, but it is not the published file") == 2
    news = complete_roles(open_bundle("ffhq"), hub, ("generator",))
    assert news[0].startswith("generator.safetensors is there, but it is not the published file")
    assert open_bundle("ffhq").path("generator") != folder / "generator.safetensors"
    asked = len(hub.log)
    monkeypatch.setenv("TMSA_OWN_WEIGHTS", "1")
    bundle = open_bundle("ffhq")
    assert (
        not complete_roles(bundle, hub, ("generator", "e4e"), thorough=True)
        and len(hub.log) == asked
    )
    assert bundle.path("generator") == folder / "generator.safetensors"
    assert bundle.load("generator").resolution == SMALL["stylegan2"]["resolution"]


def test_aligning_needs_only_the_files_that_find_faces(
    photo_domain, public_files, portrait, editor, tmp_path, monkeypatch, capsys
):
    _, folder = photo_domain
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"]["detector"] = {"kind": "dlib", "file": "face_detector.svm"}
    (folder / "bundle.json").write_text(json.dumps(manifest))
    shutil.copyfile(AVATAR / "face_detector.svm", folder / "face_detector.svm")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    photo, out = tmp_path / "photo.png", tmp_path / "crop.png"
    portrait.save(photo)
    command = ["align", str(photo), "-o", str(out), "--domain", "ffhq"]
    assert main(command) == 1 and "points.dat" in capsys.readouterr().err
    endpoints = Endpoints(Editors(editor))
    with pytest.raises(BundleError, match="no landmarks yet: run `python -m tmsa_core download"):
        endpoints.align(photo, 0, "ffhq")
    shutil.copyfile(public_files["points.dat"], folder / "points.dat")
    assert main(command) == 0
    with Image.open(out) as crop:
        assert crop.size == (1024, 1024)
    crop, table = endpoints.align(photo, 0, "ffhq")
    assert crop.size == (1024, 1024) and len(table["faces"]) == 1


@pytest.mark.parametrize(("domain", "side"), [("car", 512), ("church", 256)])
def test_aligning_cars_and_churches_needs_no_file(
    photo_domain, tmp_path, monkeypatch, domain, side
):
    _, folder = photo_domain
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    shutil.copytree(ROOT / "checkpoints" / domain, folder.parent / domain)
    Image.new("RGB", (90, 60), "red").save(tmp_path / "photo.png")
    out = tmp_path / "crop.png"
    assert main(["align", str(tmp_path / "photo.png"), "-o", str(out), "--domain", domain]) == 0
    with Image.open(out) as crop:
        assert crop.size == (side, side) and crop.getpixel((side // 2, side // 2)) == (255, 0, 0)


def test_a_sample_needs_only_the_generator(photo_domain, tmp_path, portrait, monkeypatch, capsys):
    hub, _folder = photo_domain
    complete_roles(open_bundle("ffhq"), hub, ("generator",))
    open_bundle("ffhq").path("e4e").unlink()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    out = tmp_path / "portrait.png"
    assert main(["sample", "-o", str(out), "--domain", "ffhq"]) == 0
    with Image.open(out) as drawn:
        assert drawn.size == (64, 64)
    editor = load_editor("ffhq", device="cpu", samples_only=True)
    with pytest.raises(RequestError, match="samples only"):
        editor.prepare(portrait, aligned=True)


def test_domains_name_the_folders_where_files_belong(photo_domain, capsys):
    _, folder = photo_domain
    assert main(["domains"]) == 0
    said = capsys.readouterr().out
    assert f"files belong in {folder}" in said and str(open_bundle("ffhq").cache) in said


def test_hfgi_is_offered_once_its_file_is_converted(photo_domain, portrait):
    hub, folder = photo_domain
    manifest = json.loads((folder / "bundle.json").read_text())
    for role in ("generator", "e4e"):
        del manifest["files"][role]["download"]
    manifest["files"]["hfgi"] = {
        "kind": "hfgi", "file": "hfgi.safetensors", "optional": True, "howto": "convert its ckpt.pt"
    }  # fmt: skip
    (folder / "bundle.json").write_text(json.dumps(manifest))
    complete_roles(open_bundle("ffhq"), hub, ("clip", "landmarks"))
    sizes = SMALL | {"e4e": SMALL["e4e"] | {"input_size": 256}}  # as the public aligner's
    source = write_checkpoint("hfgi", folder / "ckpt.pt", sizes)
    assert main(["convert", "hfgi", str(source), str(folder)]) == 0
    (folder / "hfgi.safetensors").rename(folder / "later")
    editor = load_editor("ffhq", device="cpu")
    with pytest.raises(BundleError, match=r"no hfgi yet: convert its ckpt\.pt"):
        editor.prepare(portrait, inversion="hfgi", aligned=True)
    (folder / "later").rename(folder / "hfgi.safetensors")
    assert editor.inversions == ("e4e", "hfgi")
    plain, full = (editor.prepare(portrait, inversion=i, aligned=True) for i in editor.inversions)
    residual, _ = full.details
    assert residual.shape == (3, 256, 256) and torch.equal(plain.w_plus, full.w_plus)
    with torch.inference_mode():  # the network's own forward, around the unedited image
        seen = to_tensor(editor.align(portrait, aligned=True).encoder_input)
        hfgi, generator = editor.bundle.load("hfgi"), editor.bundle.load("generator")
        expected = hfgi(generator, seen, full.w_plus[None], full.w_plus[None])
    assert full.inversion_crop.tobytes() == to_image(expected).tobytes()
    assert full.inversion_crop.tobytes() != plain.inversion_crop.tobytes()


def test_a_wrong_file_in_the_folder_is_named_and_not_used(photo_domain):
    hub, folder = photo_domain
    (folder / "points.dat").write_bytes(b"no predictor")
    (folder / "e4e.pt").write_bytes(b"no encoder")
    news = complete_roles(open_bundle("ffhq"), hub)
    assert [name for name in ("points.dat", "e4e.pt") if any(name in n for n in news)]
    assert open_bundle("ffhq").path("landmarks") != folder / "points.dat"


def test_a_network_of_another_size_says_so(photo_domain):
    hub, folder = photo_domain
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"]["generator"]["architecture"] = {"resolution": 1024}
    (folder / "bundle.json").write_text(json.dumps(manifest))
    complete_roles(open_bundle("ffhq"), hub)
    with pytest.raises(BundleError, match="its resolution is 64 instead of 1024"):
        load_editor("ffhq", device="cpu")


def test_a_checkpoint_of_another_layout_says_so(photo_domain, public_files):
    hub, folder = photo_domain
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["downloads"]["e4e.pt"]["layout"] = "arcface"
    (folder / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"e4e.pt"):
        complete_roles(open_bundle("ffhq"), hub)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_full_disk_is_one_sentence(photo_domain):
    hub, _ = photo_domain
    bundle = open_bundle("ffhq")
    store = bundle.cache / bundle.downloads["e4e.pt"].key
    store.mkdir(parents=True)
    (store / "e4e.pt.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"^The disk is full: e4e.pt .*kept\.$"):
        complete_roles(bundle, hub)


def test_a_cache_that_cannot_be_written_is_one_sentence(photo_domain, monkeypatch):
    hub, folder = photo_domain
    (folder.parent / "file").write_text("in the way")
    monkeypatch.setenv("TMSA_CACHE", str(folder.parent / "file"))
    with pytest.raises(DownloadError, match="set TMSA_CACHE"):
        complete_roles(open_bundle("ffhq"), hub)


def test_without_the_hub_the_other_domains_work(photo_domain, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        load_editor("ffhq", device="cpu")
    status = {d.key: d for d in list_domains()}
    assert status["avatar"].can_edit and not status["ffhq"].available


def test_the_command_downloads_from_the_endpoint_that_is_set(photo_domain, capsys, monkeypatch):
    hub, _ = photo_domain
    hub.faults["ours/e4e/e4e.pt"] = [("reset", 10_000)]
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-m", "tmsa_core", "download", "ffhq"],
        cwd=ROOT,
        env=environment | {"HF_ENDPOINT": hub.address},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "4 files are complete" in done.stdout and "For tests." in done.stdout
    assert "tmsa train it" in done.stdout and "Downloading e4e.pt" in done.stderr
    assert hub.bodies("ours/e4e/e4e.pt")[-1].startswith("bytes=")
    asked = len(hub.log)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert main(["download", "ffhq"]) == 0
    assert "4 files are complete" in capsys.readouterr().out and len(hub.log) == asked


def test_a_failed_download_command_prints_one_sentence(photo_domain, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for domain, reason in (("ffhq", "HF_HUB_OFFLINE"), ("dogs", "'dogs'")):
        assert main(["download", domain]) == 1
        said = capsys.readouterr().err
        assert said.startswith("Error: ") and said.count("\n") == 1 and reason in said


@pytest.mark.parametrize("key", ["ffhq", "car", "church"])
def test_the_shipped_manifests_are_complete(key):
    bundle = open_bundle(key, ROOT / "checkpoints" / key)
    assert "non-commercial" in bundle.notice
    for role in needed_roles(find_domain(key), bundle):
        entry = bundle.files[role]
        assert entry.source and entry.licence
        download = bundle.downloads[entry.download]
        assert entry.file.endswith(".safetensors") or entry.file == download.name
        assert download.layout or entry.file == download.name
        if role != "clip":  # its hash is the Hub's, at a pinned commit
            assert len(download.sha256) == 64 and download.bytes > 90e6
        assert len(download.places[0].revision) == 40 or download.sha256
    assert "train " + key in bundle.files["mapper"].howto
    facts = find_domain(key)
    assert bundle.files["generator"].architecture == {"resolution": facts.resolution}
    for role in ("e4e", "mapper"):
        assert bundle.files[role].architecture == {"levels": facts.levels}
