"""Training of the mapper: exact resuming, several processes, and different inputs."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.tiny_networks import few_calibration_texts
from tmsa_core.bundles import checkpoints_folder, open_bundle
from tmsa_core.domains import DOMAINS
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.alignment.losses import RenderedImages
from tmsa_core.training.mapper import calibrate
from tmsa_core.training.mapper import loop as align
from tmsa_core.training.mapper.loop import train_alignment, train_step
from tmsa_core.training.mapper.presets import FAST, Weights, paper_preset
from tmsa_core.training.run import Options
from tmsa_core.weights.manifest import read_manifest
from tmsa_core.weights.network_files import read_metadata

ROOT = Path(__file__).parent.parent.parent.parent
SMALL = replace(FAST, iterations=4, batch=8, image_batch=2, image_every=2, bank=16, hidden=(8,))


@pytest.fixture(scope="module")
def bundle():
    return open_bundle("avatar", checkpoints_folder() / "avatar")


@pytest.fixture(scope="module")
def unbroken(bundle, tmp_path_factory):
    """The state after four uninterrupted steps, and its options."""
    options = Options(tmp_path_factory.mktemp("unbroken"), bundle.folder)
    return train_alignment(bundle, SMALL, options, None, "mapper"), options


def same(a, b, tolerance):
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.allclose(x, y, atol=tolerance) for x, y in pairs)


def test_a_killed_and_resumed_run_equals_an_unbroken_one(bundle, unbroken, tmp_path):
    state, _ = unbroken
    options = Options(tmp_path, bundle.folder)
    half = train_alignment(bundle, SMALL, replace(options, minutes=0.0), None, "mapper")
    assert half.step == 0  # stopped before the first step; now two steps without the loop
    run = align.Run("mapper", options, 4)
    accelerator = align.start_processes("cpu")
    for _ in range(2):
        align.train_step(half, accelerator)
    run.save_checkpoint(half.stateful(), half.step)
    resumed = train_alignment(bundle, SMALL, options, None, "mapper")
    assert resumed.step == state.step == 4
    assert same(resumed.model, state.model, 1e-6) and same(resumed.average, state.average, 1e-6)
    assert resumed.embedder.evaluations == state.embedder.evaluations


def test_training_changes_the_weights_and_counts_evaluations(unbroken):
    state, options = unbroken
    start = align.new_alignment(state.embedder, state.bank, SMALL, seed=0)
    assert not same(state.model, start.model, 1e-6)
    # 16 pairs for the bank, and two images each at steps 0 and 2.
    assert state.embedder.evaluations == 16 + 2 * 2
    rows = (options.work / "mapper" / "metrics.jsonl").read_text().splitlines()
    last = json.loads(rows[-1])
    assert last["done"] == 4 and last["evaluations"] == 20 and last["ia"] > 0
    assert (options.work / "mapper" / "latest.png").stat().st_size > 1000


def test_another_configuration_is_refused_before_any_work(bundle, unbroken):
    _, options = unbroken

    def train(preset=SMALL, options=options, images=None):
        train_alignment(bundle, preset, options, images, "mapper")

    with pytest.raises(RequestError, match=r"differs in its preset: .*--restart"):
        train(replace(SMALL, noise=0.3))
    with pytest.raises(RequestError, match="differs in its steps: "):
        train(replace(SMALL, iterations=9))
    with pytest.raises(RequestError, match="differs in its seed and real_images: "):
        train(SMALL, replace(options, seed=1), RenderedImages(8, 128))


@pytest.mark.parametrize("content", ["", "[]", '{"dom'])
def test_a_damaged_configuration_is_refused(bundle, unbroken, tmp_path, content):
    shutil.copytree(unbroken[1].work, tmp_path / "work")
    (tmp_path / "work" / "mapper" / "configuration.json").write_text(content)
    with pytest.raises(RequestError, match=r"differs in its domain and .*--restart"):
        train_alignment(bundle, SMALL, Options(tmp_path / "work", bundle.folder), None, "mapper")


def test_an_interrupted_and_resumed_run_equals_an_unbroken_one(
    bundle, unbroken, tmp_path, monkeypatch
):
    """Ctrl-C in the second step: the step is finished and saved."""
    steps, options = [], Options(tmp_path, bundle.folder)

    def step_and_interrupt(state, accelerator):
        steps.append(state.step)
        if state.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return train_step(state, accelerator)

    monkeypatch.setattr(align, "train_step", step_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_alignment(bundle, SMALL, options, None, "mapper")
    state = train_alignment(bundle, SMALL, options, None, "mapper")
    assert steps == [0, 1, 2, 3]
    assert same(state.model, unbroken[0].model, 1e-6)


def test_an_exported_mapper_has_its_provenance(bundle, unbroken, tmp_path, monkeypatch):
    monkeypatch.setitem(DOMAINS, "avatar", few_calibration_texts())
    monkeypatch.setattr(calibrate, "FACTORS", (0.2, 0.4))
    state = replace(unbroken[0], embedder=replace(unbroken[0].embedder), seconds=100.0)
    for role in ("generator", "clip"):
        (tmp_path / bundle.path(role).name).symlink_to(bundle.path(role).absolute())
    own = replace(bundle, folder=tmp_path)
    before = state.embedder.evaluations
    origin = align.export_alignment(state, own, "a command")
    assert origin["real_images"] == 0 and origin["steps"] == 4
    # The calibration synthesises 16 images without a text, and for two texts at two lengths.
    assert origin["evaluations"] == before + 16 * (1 + 2 * 2)
    stored = read_metadata(tmp_path / "mapper.safetensors")["origin"]
    assert origin.items() <= stored.items() and stored["generator"] and stored["clip"]
    entry = read_manifest(tmp_path / "bundle.json").files["mapper"]
    assert 100 < entry.seconds < 200, "training and calibration, in the manifest only"


def test_two_processes_equal_one(bundle, unbroken, tmp_path):
    state, _ = unbroken
    script = tmp_path / "two.py"
    script.write_text(
        "import sys\n"
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from tmsa_core.bundles import open_bundle\n"
        "from tmsa_core.training.mapper.loop import train_alignment\n"
        "from tmsa_core.training.mapper.presets import FAST\n"
        "from tmsa_core.training.run import Options\n"
        "small = replace(FAST, iterations=4, batch=8, image_batch=2, image_every=2, bank=16,"
        " hidden=(8,))\n"
        "bundle = open_bundle('avatar', Path(sys.argv[1]))\n"
        "options = Options(Path(sys.argv[2]), bundle.folder)\n"
        "train_alignment(bundle, small, options, None, 'mapper')\n"
    )
    # The environment that `accelerate launch` sets for each process.
    launched = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    launched |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    command = (sys.executable, str(script), str(bundle.folder), str(tmp_path))
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | launched | {"RANK": rank, "LOCAL_RANK": rank, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    for process in processes:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors[-2000:]
    both = torch.load(tmp_path / "mapper" / "state.pt", weights_only=True)
    assert both["done"] == 4
    # Batches of other sizes round differently in bfloat16, and Adam's first steps amplify it.
    start = align.new_alignment(state.embedder, state.bank, SMALL, seed=0).model.state_dict()
    one, two = (
        torch.cat([(weights[name] - start[name]).flatten() for name in start])
        for weights in (state.model.state_dict(), both["model"])
    )
    assert torch.nn.functional.cosine_similarity(one, two, dim=0) > 0.95
    assert both["studio"]["evaluations"] == state.embedder.evaluations


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_the_paper_schedule_samples_new_pairs_at_every_step(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(align, "MEASURING_PAIRS", 4)
    preset = replace(paper_preset("avatar"), iterations=1, batch=2, image_batch=2, hidden=(8,))
    state = train_alignment(bundle, preset, Options(tmp_path, bundle.folder), None, "mapper")
    assert (
        state.embedder.evaluations == 4 + 2 + 2
    )  # for the means, for the step's pairs, for loss (3)


def test_gradients_are_the_same_with_and_without_checkpointing(unbroken):
    embedder = unbroken[0].embedder
    w = unbroken[0].bank.subjects(2).clone()
    gradients = []
    for one_by_one in (False, True):
        codes = w.clone().requires_grad_()
        embedder.embed_with_gradients(codes, one_by_one)[:, 0].sum().backward()
        gradients.append(codes.grad)
    assert gradients[0].abs().max() > 0
    assert torch.nn.functional.cosine_similarity(*(g.flatten() for g in gradients), dim=0) > 0.99


def test_training_preprocesses_images_as_inference_does(unbroken):
    clip = unbroken[0].embedder.clip
    images = torch.rand(1, 3, 128, 128, requires_grad=True)
    seen = clip.preprocess(images * 2 - 1)
    expected = torch.nn.functional.interpolate(images, clip.size, mode="bilinear", antialias=True)
    mean, std = clip.mean.view(3, 1, 1), clip.std.view(3, 1, 1)
    assert torch.allclose(seen, (expected - mean) / std, atol=1e-5)
    clip.embed_images(images * 2 - 1).square().sum().backward()
    assert images.grad is not None and torch.isfinite(images.grad).all()


def test_presets_are_the_published_schedules():
    published = {key: domain.paper_schedule for key, domain in DOMAINS.items()}
    assert published == {
        "avatar": (400_000, 8),
        "ffhq": (400_000, 8),
        "church": (600_000, 16),
        "car": (300_000, 16),
    }
    paper = paper_preset("ffhq")
    assert paper.rate_at(0) == 5e-4 and paper.rate_at(399_999) < paper.rate_at(200_001) < 5e-4
    assert not paper.calibrated and paper.noise == 0 and not paper.closed_form


def test_every_loss_has_a_weight():
    assert set(vars(Weights())) == {"sa", "ia", "iai", "ada"}
