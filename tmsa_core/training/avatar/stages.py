"""The stages that make ``checkpoints/avatar``, in the order in which they depend on each other.

Every stage resumes from its own checkpoint, trains, and then exports its network to the bundle,
with its provenance in the metadata. ``all`` runs all stages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from tmsa_core.align.landmarks import FaceFinder
from tmsa_core.avatars.samples import write_samples
from tmsa_core.bundles import TRAINED_BY, open_bundle
from tmsa_core.errors import BundleError, RequestError, quoted
from tmsa_core.networks.e4e import avatar_architecture
from tmsa_core.training.avatar import classifier as classifier_stage
from tmsa_core.training.avatar import clip as clip_stage
from tmsa_core.training.avatar import e4e as e4e_stage
from tmsa_core.training.avatar import face_detector as detector_stage
from tmsa_core.training.avatar import fine_block as fine_stage
from tmsa_core.training.avatar import generator as generator_stage
from tmsa_core.training.avatar import grow as grow_stage
from tmsa_core.training.avatar import hfgi as hfgi_stage
from tmsa_core.training.avatar import identity as identity_stage
from tmsa_core.training.avatar import sfe as sfe_stage
from tmsa_core.training.avatar import stylegan_mapping as mapping_stage
from tmsa_core.training.avatar.renders import (
    changed_portraits,
    chunk_portraits,
    open_pool,
    render_pool,
)
from tmsa_core.training.mapper.export import check_writable
from tmsa_core.training.mapper.loop import check_bundle, export_alignment, train_alignment
from tmsa_core.training.mapper.presets import FAST, REAL_IMAGES, RUN_NAME
from tmsa_core.training.run import Options, seeded
from tmsa_core.weights.architectures import build_network
from tmsa_core.weights.manifest import read_entries, register_file
from tmsa_core.weights.network_files import load_network, read_metadata, save_network

DOMAIN = "avatar"
RENDERS = 40_960
RESOLUTION = 128
FINE_RENDERS = 6_144
HELD_OUT_SCENES, HELD_OUT_SEED = 200, 1_000_000  # training uses small seeds


def train_renders(options: Options) -> None:
    """Render the portraits that most stages use, and each after one attribute has changed."""
    _render_pairs(options, options.work, RENDERS, RESOLUTION)


def train_fine_renders(options: Options) -> None:
    """Render the portraits that the finest block learns from."""
    side = load_network("stylegan2", options.out / "generator.safetensors").resolution
    _render_pairs(options, options.work / fine_stage.STAGE, FINE_RENDERS, side)


def _render_pairs(options: Options, folder: Path, count: int, side: int) -> None:
    workers = os.cpu_count() or 1
    for name, portraits_of in (("renders", chunk_portraits), ("changed", changed_portraits)):
        render_pool(folder / name, options.seed, count, side, workers, portraits_of)


def train_mapping(options: Options) -> None:
    """Train the generator's mapping network; ``export_generator`` exports it."""
    mapping_stage.train_mapping(options, generator_stage.ARCHITECTURE)


def check_mapping(options: Options) -> None:
    """Check that the mapping network is trained, before hours of training.

    Raises:
        BundleError: If it is not.
    """
    _state(options, "mapping")


def export_generator(options: Options) -> None:
    """Export the mapping and synthesis networks as one generator, with the mean of W."""
    synthesis, mapping = _state(options, "generator"), _state(options, "mapping")
    model = build_network("stylegan2", generator_stage.ARCHITECTURE)
    model.load_state_dict(synthesis["average"])
    generator_stage.lift_codes(model, mapping_stage.LIFT)
    model.style.load_state_dict(mapping["mapping"])
    z = torch.randn(20_000, 512, generator=torch.Generator().manual_seed(options.seed))
    with torch.inference_mode():
        model.latent_avg = model.map(z).mean(dim=0).clone()
    origin = {"images": synthesis["done"], "mapping_samples": mapping["done"]}
    _export(options, "generator", "stylegan2", model, generator_stage.ARCHITECTURE, origin)


def grow(options: Options) -> None:
    """Double the resolution of the bundle's generator; encoder and mapper get its new rows of W+.

    The pictures stay the same. A bundle that has grown already is left alone.

    Raises:
        BundleError: If there is no generator.
    """
    path = options.out / "generator.safetensors"
    old, architecture = load_network("stylegan2", path), read_metadata(path)["architecture"]
    if old.resolution >= 2 * generator_stage.ARCHITECTURE["resolution"]:
        return
    architecture = grow_stage.grown_architecture(architecture)
    with seeded(options.seed):
        _replace(options, "generator", grow_stage.grown_generator(old, architecture), architecture)
    path = options.out / "e4e.safetensors"
    if path.exists():
        encoder = load_network("e4e", path)
        architecture = grow_stage.grown_levels(read_metadata(path)["architecture"])
        _replace(options, "e4e", grow_stage.grown_encoder(encoder, architecture), architecture)
    path = options.out / "hfgi.safetensors"
    if path.exists():  # its residuals stay those of the images that it was trained on
        architecture = {**read_metadata(path)["architecture"], "preview": old.resolution}
        _replace(options, "hfgi", load_network("hfgi", path), architecture)
    if (options.out / "mapper.safetensors").exists():
        mapper = grow_stage.grown_mapper(load_network("mapper", options.out / "mapper.safetensors"))
        _replace(options, "mapper", mapper, mapper.architecture())


def export_fine_block(options: Options) -> None:
    """Put the trained last block (averaged weights) into the bundle's generator."""
    state, path = _state(options, fine_stage.STAGE), options.out / "generator.safetensors"
    model, metadata = load_network("stylegan2", path), read_metadata(path)
    fine_stage.insert(model, state["average"])
    origin = metadata["origin"] | {"fine_patches": state["done"]}
    _replace(options, "generator", model, metadata["architecture"], origin)


def export_clip(options: Options) -> None:
    """Export CLIP (averaged weights)."""
    _export_average(options, "clip", "clip", clip_stage.architecture())


def export_classifier(options: Options) -> None:
    """Export the attribute classifier (averaged weights)."""
    _export_average(options, "classifier", "attributes", classifier_stage.ARCHITECTURE)


def export_identity(options: Options) -> None:
    """Export the identity network (averaged weights)."""
    _export_average(options, "identity", "arcface", identity_stage.ARCHITECTURE)


def export_e4e(options: Options) -> None:
    """Export the encoder (averaged weights) with the mean code that it adds."""
    state = _state(options, "e4e")
    encoder = e4e_stage.new_encoder(
        load_network("stylegan2", options.out / "generator.safetensors")
    )
    encoder.load_state_dict(state["average"])
    origin = {"images": state["done"]}
    architecture = avatar_architecture(encoder.levels)
    _export(options, "e4e", "e4e", encoder, architecture, origin)


def export_hfgi(options: Options) -> None:
    """Export the aligner and the residual encoder (averaged weights)."""
    _export_average(options, "hfgi", "hfgi", hfgi_stage.ARCHITECTURE)


def export_sfe(options: Options) -> None:
    """Export the inverter and the feature editor (averaged weights)."""
    _export_average(options, "sfe", "sfe", sfe_stage.ARCHITECTURE)


def train_landmarks(options: Options) -> None:
    """Train dlib's face detector and landmark predictor on drawn scenes, and print their errors."""
    options.out.mkdir(parents=True, exist_ok=True)
    detector, predictor = options.out / "face_detector.svm", options.out / "landmarks.dat"
    detector_stage.train_detector(detector, seed=options.seed)
    detector_stage.train_predictor(predictor, seed=options.seed)
    for role, path in (("detector", detector), ("landmarks", predictor)):
        source = f"{TRAINED_BY}python -m tmsa_core train avatar landmarks"
        register_file(options.out, DOMAIN, role, "dlib", path.name, source)
    finder = FaceFinder(detector, predictor)
    print(detector_stage.evaluate_finder(finder, HELD_OUT_SCENES, HELD_OUT_SEED))


def draw_samples(options: Options) -> None:
    """Write the sample portraits that the page offers."""
    write_samples(options.out / "samples")


def train_mapper(options: Options) -> None:
    """Train the mapper by the fast preset, with renders as real images; resumes."""
    bundle = open_bundle("avatar", options.out)
    check_bundle(bundle, real=True)
    check_writable(bundle)
    renders = open_pool(options.work / "renders").first(REAL_IMAGES)
    state = train_alignment(bundle, FAST, options, renders, RUN_NAME)
    export_alignment(state, bundle, "python -m tmsa_core train avatar mapper")


Stage = Callable[[Options], None]
STAGES: dict[str, tuple[Stage, ...]] = {
    "samples": (draw_samples,),
    "renders": (train_renders,),
    "landmarks": (train_landmarks,),
    "mapping": (train_mapping,),
    "clip": (clip_stage.train_clip, export_clip),
    "generator": (check_mapping, generator_stage.train_generator, export_generator),
    "grow": (grow,),
    "fine": (grow, train_fine_renders, fine_stage.train_fine_block, export_fine_block),
    "classifier": (classifier_stage.train_classifier, export_classifier),
    "identity": (identity_stage.train_identity, export_identity),
    "e4e": (e4e_stage.train_e4e, export_e4e),
    "hfgi": (hfgi_stage.train_hfgi, export_hfgi),
    "sfe": (sfe_stage.train_sfe, export_sfe),
    "mapper": (train_mapper,),
}


def train(stage: str, options: Options) -> None:
    """Run one stage, or all stages.

    Args:
        stage: A key of ``STAGES``, or "all".
        options: How to run it.

    Raises:
        RequestError: If there is no such stage.
        BundleError: If an earlier stage is missing or a file cannot be written.
    """
    if stage != "all" and stage not in STAGES:
        raise RequestError(
            f"There is no stage {quoted(stage)}; use one of {', '.join(STAGES)}, all."
        )
    for name in STAGES if stage == "all" else (stage,):
        for step in STAGES[name]:
            step(options)


def _state(options: Options, stage: str) -> dict[str, Any]:
    """The checkpoint of a stage; BundleError if there is none."""
    path = options.work / stage / "state.pt"
    if not path.exists():
        raise BundleError(
            f"Stage {stage} has not been trained in {options.work}: "
            f"run `python -m tmsa_core train avatar {stage}` first."
        )
    return torch.load(path, map_location="cpu", weights_only=True)


def _export_average(options: Options, stage: str, kind: str, architecture: dict[str, Any]) -> None:
    """Export the averaged weights of a stage whose role in the bundle has the same name."""
    state = _state(options, stage)
    model = build_network(kind, architecture)
    model.load_state_dict(state["average"])
    _export(options, stage, kind, model, architecture, {"images": state["done"]})


def _replace(
    options: Options,
    role: str,
    model: torch.nn.Module,
    architecture: Mapping[str, Any],
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write a changed network over its file, which keeps its origin unless a new one is given."""
    entry = read_entries(options.out)[role]
    path = options.out / entry.file
    made = read_metadata(path)["origin"] if origin is None else origin
    save_network(entry.kind, model, path, architecture, made)
    register_file(
        options.out,
        DOMAIN,
        role,
        entry.kind,
        entry.file,
        entry.source,
        entry.licence,
        entry.seconds,
        architecture,
    )


def _export(
    options: Options,
    role: str,
    kind: str,
    model: torch.nn.Module,
    architecture: dict[str, Any],
    origin: dict[str, Any],
) -> None:
    """Write a network into the bundle and its manifest, unless a longer trained one is there."""
    command = f"python -m tmsa_core train avatar {role}"
    path: Path = options.out / f"{role}.safetensors"
    seen = read_metadata(path)["origin"].get("images", 0) if path.exists() else 0
    if seen > origin["images"]:
        print(
            f"{path.name} was not replaced: it was trained on {seen:,} images, this run so far on "
            f"{origin['images']:,}. `{command}` continues the run; delete the file to replace it."
        )
        return
    made = {"command": command, "seed": options.seed} | origin
    save_network(kind, model, path, architecture, made)
    source = f"{TRAINED_BY}{command}"
    register_file(options.out, DOMAIN, role, kind, path.name, source, architecture=architecture)
