"""Every stage runs for a few steps on a small pool and exports a file that loads."""

import json
from dataclasses import replace

import pytest
import torch

from tests.tiny_networks import few_calibration_texts
from tmsa_core.bundles import load_network, open_bundle
from tmsa_core.domains import DOMAINS
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.training.avatar import (
    classifier,
    clip,
    e4e,
    fine_block,
    generator,
    hfgi,
    identity,
    sfe,
)
from tmsa_core.training.avatar import renders as data
from tmsa_core.training.avatar import stages as avatar
from tmsa_core.training.avatar import stylegan_mapping as mapping
from tmsa_core.training.mapper import calibrate
from tmsa_core.training.run import Options
from tmsa_core.weights.network_files import read_metadata

SMALL_PHASES = (
    generator.Phase(side=32, images=8, batch=4, rate=1e-3),
    generator.Phase(side=64, images=8, batch=4, rate=1e-3, noise=1.0),
    generator.Phase(side=128, images=8, batch=4, rate=1e-3, noise=1.0, sharpen=True),
)


@pytest.fixture(scope="module")
def small_options(tmp_path_factory):
    """Options for stages of a few steps, with a pool of 16 renders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "CHUNK", 16)
        patch.setattr(generator, "PHASES", SMALL_PHASES)
        patch.setattr(mapping, "SAMPLES", 3 * mapping.BATCH)
        for stage in (clip, classifier, identity, e4e):
            patch.setattr(stage, "BATCH", 8)
            patch.setattr(stage, "IMAGES", 24)
        patch.setattr(e4e, "REFINED", 2)
        for stage in (hfgi, sfe):
            patch.setattr(stage, "IMAGES", 12)
        patch.setattr(avatar, "FINE_RENDERS", 16)
        for name, value in (("PATCHES", 24), ("PAIRS", 8)):
            patch.setattr(fine_block, name, value)
        small = replace(avatar.FAST, iterations=3, batch=8, image_batch=2, bank=64)
        patch.setattr(avatar, "FAST", small)
        patch.setitem(DOMAINS, "avatar", few_calibration_texts())
        patch.setattr(calibrate, "SUBJECTS", 2)
        patch.setattr(calibrate, "FACTORS", (0.2, 0.4))
        root = tmp_path_factory.mktemp("training")
        options = Options(work=root / "work", out=root / "bundle")
        for folder, side in ((options.work, 128), (options.work / fine_block.STAGE, 256)):
            data.render_chunk(folder / "renders", options.seed, 0, side)
            data.render_chunk(folder / "changed", options.seed, 0, side, data.changed_portraits)
        threads = torch.get_num_threads()
        yield options
        torch.set_num_threads(threads)


STAGES = ("mapping", "clip", "generator", "classifier", "identity", "e4e", "hfgi", "sfe", "mapper")
KINDS = {
    "generator": "stylegan2",
    "classifier": "attributes",
    "clip": "clip",
    "identity": "arcface",
    "e4e": "e4e",
    "hfgi": "hfgi",
    "sfe": "sfe",
    "mapper": "mapper",
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_trains_and_exports(small_options, stage):
    avatar.train(stage, small_options)
    state = torch.load(small_options.work / stage / "state.pt", weights_only=True)
    assert state["done"] > 0
    if stage in KINDS:
        bundle = open_bundle("avatar", small_options.out)
        assert not any(bundle.problem(role, thorough=True) for role in bundle.files)
        network = bundle.load(stage)
        assert not network.training
        metadata = read_metadata(bundle.path(stage))
        assert metadata["kind"] == KINDS[stage] and metadata["origin"]["seed"] == 0
        assert all(torch.isfinite(p).all() for p in network.parameters())


def test_a_finished_stage_does_not_train_again(small_options):
    before = torch.load(small_options.work / "generator" / "state.pt", weights_only=True)
    avatar.train("generator", small_options)
    after = torch.load(small_options.work / "generator" / "state.pt", weights_only=True)
    assert after["done"] == before["done"] == sum(p.images for p in SMALL_PHASES)
    name = "conv1.conv.weight"
    assert torch.equal(after["model"][name], before["model"][name])


def test_a_shorter_training_does_not_replace_a_longer_one(small_options, capsys):
    path = small_options.out / "classifier.safetensors"
    before = path.read_bytes()
    avatar.train("classifier", replace(small_options, restart=True, minutes=0.0))
    assert path.read_bytes() == before
    assert "was trained on 24 images, this run so far on 0" in capsys.readouterr().out
    avatar.train("classifier", small_options)  # resumes, and is as long
    assert read_metadata(path)["origin"]["images"] == 24


def test_the_generator_needs_its_mapping_network(small_options, tmp_path):
    with pytest.raises(BundleError, match="train avatar mapping"):
        avatar.train("generator", replace(small_options, work=tmp_path))
    assert not list(tmp_path.iterdir())


def test_metrics_are_json_lines(small_options):
    run = generator.Run("generator", small_options, 1)
    run.log(3, psnr=20.0)
    rows = [json.loads(r) for r in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["done"] == 3 and rows[-1]["psnr"] == 20.0


def test_the_exported_generator_maps_and_draws(small_options):
    network = load_network("stylegan2", small_options.out / "generator.safetensors")
    w = network.map(torch.randn(2, 512), truncation_psi=0.5)
    assert network.latent_avg.mean().item() == pytest.approx(mapping.LIFT, abs=1.0)
    assert network.synthesise(network.broadcast(w)).shape == (2, 3, 128, 128)


def test_unknown_and_untrained_stages_are_refused(tmp_path):
    options = Options(work=tmp_path / "work", out=tmp_path / "out")
    with pytest.raises(RequestError, match="generator"):
        avatar.train("generater", options)
    with pytest.raises(BundleError, match="train avatar"):
        avatar.export_generator(options)


def test_a_bundle_grows_and_its_last_blocks_are_trained(small_options):
    path = small_options.out / "generator.safetensors"
    before, w = load_network("stylegan2", path), torch.randn(2, 512) + mapping.LIFT
    avatar.train("grow", small_options)
    bundle = open_bundle("avatar", small_options.out)
    assert not any(bundle.problem(role, thorough=True) for role in bundle.files)
    grown, encoder, mapper = (bundle.load(role) for role in ("generator", "e4e", "mapper"))
    assert (grown.resolution, grown.levels, encoder.levels, mapper.levels) == (256, 14, 14, 14)
    plain = before.synthesise(before.broadcast(w))
    assert torch.equal(grown.synthesise(grown.broadcast(w), up_to=128), plain)
    sums = {role: entry.sha256 for role, entry in bundle.files.items()}
    avatar.train("fine", small_options)
    trained = open_bundle("avatar", small_options.out)
    changed = {role for role, entry in trained.files.items() if entry.sha256 != sums[role]}
    assert changed == {"generator"}
    assert read_metadata(path)["origin"]["fine_patches"] == fine_block.PATCHES
    network = trained.load("generator")
    drawn, coarse = (network.synthesise(grown.broadcast(w), up_to=side) for side in (256, 128))
    assert torch.equal(coarse, plain) and drawn.isfinite().all()
    assert not torch.equal(drawn, grown.synthesise(grown.broadcast(w)))
    assert trained.load("hfgi").preview == 128


def test_the_encoder_and_hfgi_train_on_a_grown_generator(small_options):
    for stage in ("e4e", "hfgi"):
        avatar.train(stage, replace(small_options, restart=True))
        assert open_bundle("avatar", small_options.out).load(stage) is not None
    assert open_bundle("avatar", small_options.out).load("e4e").levels == 14
