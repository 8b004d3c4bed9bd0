"""Training of the alignment in any domain: the mapper M with losses (1) to (4).

It needs the frozen networks of a bundle; with real images it also uses losses (1) and (4). All
random numbers of a step follow from the seed and the number of the step. Therefore a run that was
killed and resumed gives the same result as an uninterrupted one, and several processes, each with
its slice of every batch, give the same result as one.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

from tmsa_core.bundles import Bundle
from tmsa_core.devices import report_out_of_memory
from tmsa_core.domains import find_domain
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.files import write_whole
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.progress import Progress
from tmsa_core.training.mapper.bank import (
    REAL_BATCH,
    Bank,
    ImageEmbedder,
    real_pairs,
    synthetic_pairs,
)
from tmsa_core.training.mapper.cache import Parts, cached
from tmsa_core.training.mapper.calibrate import calibrate_mapper
from tmsa_core.training.mapper.calibration_texts import embed_pairs
from tmsa_core.training.mapper.closed_form import blank_mapper, closed_form
from tmsa_core.training.mapper.export import save_mapper
from tmsa_core.training.mapper.image_folder import Images
from tmsa_core.training.mapper.losses import adaption, in_domain, in_domain_image, space_alignment
from tmsa_core.training.mapper.presets import Preset
from tmsa_core.training.mapper.processes import (
    average_gradients,
    average_losses,
    check_shares,
    first_process_says,
    start_processes,
)
from tmsa_core.training.run import Options, Run, seeded, set_rate, update_average

if TYPE_CHECKING:
    from accelerate import Accelerator

MEASURING_PAIRS = 1_024  # synthetic pairs for M's means and spread, if the preset has no bank
CHECKPOINTING_SIDE = 512  # resolution from which images are recomputed, to save memory
LOG_EVERY = 50  # steps
SHOWN = 16  # images of the sample grid
BANK_SEED, STEP_SEED = 11, 1_000_003


@dataclass(frozen=True)
class Batch:
    """One process's slice of a step. The real pairs are empty if there are no real images.

    Attributes:
        synthetic: Embeddings (B,D) of synthetic images.
        noisy_synthetic: The same with the noise that regularises M.
        w: Their codes (B,512).
        real: Embeddings (B,D) of real images.
        noisy_real: The same with noise.
        inverted: Their e4e codes (B,L,512).
    """

    synthetic: Tensor
    noisy_synthetic: Tensor
    w: Tensor
    real: Tensor
    noisy_real: Tensor
    inverted: Tensor


@dataclass
class Alignment:
    """The state of a training.

    Attributes:
        preset: The schedule.
        seed: Seed of everything random.
        embedder: The frozen networks.
        bank: The pairs.
        model: M.
        average: Moving average of M, which is exported.
        optimiser: Of M's weights.
        step: Steps done.
        seconds: Training time.
    """

    preset: Preset
    seed: int
    embedder: ImageEmbedder
    bank: Bank
    model: Mapper
    average: Mapper
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def stateful(self) -> dict[str, object]:
        """The contents of a checkpoint."""
        return {
            "model": self.model,
            "average": self.average,
            "optimiser": self.optimiser,
            "studio": self.embedder,  # the name in checkpoints of earlier versions
        }


@report_out_of_memory
def train_alignment(
    bundle: Bundle,
    preset: Preset,
    options: Options,
    real_images: Images | None,
    name: str,
    until: int | None = None,
) -> Alignment:
    """Train M until the preset's iterations or the options' minutes are over; resumes.

    Ctrl-C saves a checkpoint after the current step.

    Args:
        bundle: Has the frozen networks.
        preset: The schedule.
        options: How to run it.
        real_images: Images for losses (1) and (4), or None to leave these out.
        name: Folder of the checkpoints, below ``options.work``.
        until: Stop after this many generator evaluations; a call with more continues.

    Raises:
        BundleError: If a network is missing.
        RequestError: If the checkpoint has another configuration.
    """
    # 1. Check everything before any long work.
    accelerator = start_processes(options.device)
    is_first = accelerator.is_main_process
    check_shares(accelerator, preset.batch, preset.image_batch)
    check_bundle(bundle, real_images is not None)
    run = Run(name, options, preset.iterations * preset.batch, "image", quiet=not is_first)
    check_configuration(run, configuration(bundle, preset, options, real_images))
    if real_images is None and is_first:
        tqdm.write("Note: without real images losses (1) and (4) are left out.", file=sys.stderr)
    # 2. Load the frozen networks, compute the bank, and load the last checkpoint.
    device = str(accelerator.device)
    generator, clip = bundle.load("generator", device), bundle.load("clip", device)
    embedder = ImageEmbedder(generator, clip, device, accelerator.num_processes)
    with accelerator.main_process_first():
        bank = make_bank(bundle, embedder, preset, options.seed, real_images, run.folder)
    embedder.evaluations = len(bank.w)
    state = new_alignment(embedder, bank, preset, options.seed)
    state.step = run.resume(state.stateful())
    # 3. Train. Only the first process logs and saves.
    with run.whole_steps():
        while first_process_says(accelerator, run.should_continue(state.step * preset.batch)):
            if until is not None and embedder.evaluations >= until:
                break
            losses = train_step(state, accelerator)
            if state.step % LOG_EVERY == 0 or state.step == preset.iterations:
                rate, evaluations = preset.rate_at(state.step - 1), embedder.evaluations
                means = average_losses(accelerator, losses)
                run.log(state.step, evaluations=evaluations, rate=rate, **means)
            if is_first and run.checkpoint_due():
                save(state, real_images, run)
        if is_first:
            save(state, real_images, run)
        accelerator.wait_for_everyone()
    state.seconds = run.seconds
    return state


def export_alignment(state: Alignment, bundle: Bundle, command: str) -> dict[str, object]:
    """Add the averaged M to the bundle, calibrated if the preset says so.

    Args:
        state: The trained state.
        bundle: The bundle.
        command: The command that trains it, for the provenance.

    Returns:
        The provenance stored in the file; empty in all processes but the first, which alone
        writes.
    """
    from accelerate import PartialState

    if not PartialState().is_main_process:
        return {}
    started, mapper = time.monotonic(), copy.deepcopy(state.average).cpu()
    origin: dict[str, object] = {
        "command": command,
        "preset": state.preset.name,
        "seed": state.seed,
        "steps": state.step,
        "real_images": len(state.bank.real),
    }
    if state.preset.calibrated:
        texts = embed_pairs(state.embedder.clip, bundle.domain)
        origin |= calibrate_mapper(mapper, state.bank, state.embedder, texts)
    origin["evaluations"] = state.embedder.evaluations  # including those of the calibration
    save_mapper(mapper, bundle, origin, state.seconds + time.monotonic() - started)
    return origin


def train_step(state: Alignment, accelerator: Accelerator) -> dict[str, Tensor]:
    """Do one step of Adam on this process's slice of the batch; returns the losses by name."""
    preset, weights, step = state.preset, state.preset.weights, state.step
    # 1. Draw the pairs of this step.
    rng = torch.Generator().manual_seed(state.seed * STEP_SEED + step)
    batch = draw_batch(state, rng, accelerator)
    # 2. Losses (2) and (4), on codes.
    losses = code_losses(state.model, batch)
    total = weights.ia * losses["ia"]
    if "ada" in losses:
        total = total + weights.ada * losses["ada"]
    # 3. At some steps losses (3) and (1), on images.
    if step % preset.image_every == 0:
        count = preset.image_batch // accelerator.num_processes
        losses |= image_losses(state.model, batch, state.embedder, count)
        total = total + preset.image_every * weights.iai * losses["iai"]
        if "sa" in losses:
            total = total + preset.image_every * weights.sa * losses["sa"]
    # 4. Update M and its average.
    set_rate(state.optimiser, preset.rate_at(step))
    state.optimiser.zero_grad()
    total.backward()
    average_gradients(accelerator, state.model)
    state.optimiser.step()
    update_average(state.average, state.model, preset.decay)
    state.step += 1
    return losses


def code_losses(model: Mapper, batch: Batch) -> dict[str, Tensor]:
    """Losses (2) and (4) by name, each divided by the number of components of a code."""
    size = model.latent_avg.numel()
    losses = {"ia": in_domain(model.from_point(batch.noisy_synthetic), batch.w) / size}
    if len(batch.real):
        losses["ada"] = adaption(model.from_point(batch.noisy_real), batch.inverted) / size
    return losses


def image_losses(
    model: Mapper, batch: Batch, embedder: ImageEmbedder, count: int
) -> dict[str, Tensor]:
    """Losses (3) and (1) by name, on the first ``count`` pairs of each kind."""
    synthetic, real = batch.synthetic[:count], batch.real[:count]
    remade = embedder.embed_with_gradients(
        model(torch.cat([synthetic, real])),
        one_by_one=embedder.generator.resolution >= CHECKPOINTING_SIDE,
    )
    losses = {"iai": in_domain_image(synthetic, remade[: len(synthetic)])}
    if len(real):
        losses["sa"] = space_alignment(real, remade[len(synthetic) :])
    return losses


def draw_batch(state: Alignment, rng: torch.Generator, accelerator: Accelerator) -> Batch:
    """Draw the pairs of a step, and take this process's slice: of N processes, every N-th row.

    Every process draws the random numbers of the whole batch, so that the batch does not depend on
    the number of processes.
    """
    preset, bank, embedder = state.preset, state.bank, state.embedder
    mine = slice(accelerator.process_index, None, accelerator.num_processes)
    # 1. Noise that regularises M.
    count, width = preset.batch, bank.synthetic.shape[1]
    noise = preset.noise / width**0.5 * torch.randn(2, count, width, generator=rng)[:, mine]
    # 2. Synthetic pairs, from the bank or newly sampled.
    if preset.bank:
        rows = torch.randint(len(bank.w), (count,), generator=rng)[mine]
        synthetic, w = bank.synthetic[rows], bank.w[rows]
    else:
        z = torch.randn(count, 512, generator=rng)[mine]
        # Clones, since inference tensors cannot take part in a backward pass.
        synthetic, w = (x.clone() for x in embedder.pairs(z))
    # 3. Real pairs, if there are any.
    rows = torch.arange(0)
    if len(bank.real):
        rows = torch.randint(len(bank.real), (count,), generator=rng)[mine]
    real, inverted = bank.real[rows], bank.inverted[rows]
    noisy_real = real + noise[1, : len(real)]
    parts = (synthetic, synthetic + noise[0], w, real, noisy_real, inverted)
    return Batch(*(part.to(embedder.device, torch.float32) for part in parts))


def new_alignment(embedder: ImageEmbedder, bank: Bank, preset: Preset, seed: int) -> Alignment:
    """The state before the first step: M in closed form or at random, equal in all processes."""
    with seeded(seed + 4):
        if preset.closed_form:
            model = closed_form(bank, preset.noise, preset.hidden)
        else:
            model = random_mapper(bank, preset.hidden)
    model = model.to(embedder.device)
    optimiser = torch.optim.Adam(model.parameters(), lr=preset.rate, betas=(0.9, 0.999))
    return Alignment(preset, seed, embedder, bank, model, copy.deepcopy(model), optimiser)


def random_mapper(bank: Bank, hidden: tuple[int, ...]) -> Mapper:
    """M with random weights and the means and the spread of the bank."""
    model = Mapper(bank.levels, hidden, bank.synthetic.shape[1], bank.w.shape[1])
    blank = blank_mapper(bank, hidden)
    model.load_state_dict(model.state_dict() | dict(blank.named_buffers()))
    return model


def make_bank(
    bundle: Bundle,
    embedder: ImageEmbedder,
    preset: Preset,
    seed: int,
    real_images: Images | None,
    folder: Path,
) -> Bank:
    """Compute the pairs to learn from; they are cached until a network or an image changes.

    Args:
        bundle: Has the frozen networks.
        embedder: Synthesises and embeds.
        preset: Says how many synthetic pairs are needed.
        seed: Seed of the synthetic pairs.
        real_images: Images to embed and invert, or None.
        folder: Folder of the cache.

    Returns:
        The bank.
    """
    count = preset.bank or MEASURING_PAIRS
    key = {"weights": bundle.fingerprint(("generator", "clip")), "count": count, "seed": seed}

    def sample(parts: Parts) -> dict[str, Tensor]:
        with tqdm(total=count, desc="synthetic pairs", unit="image", mininterval=10) as bar:
            synthetic, w = synthetic_pairs(embedder, count, seed + BANK_SEED, shown_by(bar), parts)
        return {"synthetic": synthetic, "w": w}

    def invert(parts: Parts) -> dict[str, Tensor]:
        encoder, content = bundle.load("e4e", embedder.device), find_domain(bundle.domain).content
        rows = torch.arange(len(real_images)).split(REAL_BATCH)
        with tqdm(total=len(real_images), desc="e4e codes", unit="image", mininterval=10) as bar:
            images = [partial(real_images.images, batch) for batch in rows]
            real, codes = real_pairs(images, embedder, encoder, content, shown_by(bar), parts)
        return {"real": real, "inverted": codes}

    sampled = cached(folder, "synthetic", key, sample)
    if real_images is None:
        return Bank.without_images(**sampled, levels=embedder.generator.levels)
    key = {"weights": bundle.fingerprint(("clip", "e4e")), "real_images": real_images.digest()}
    return Bank(**sampled, **cached(folder, "real", key, invert))


def check_bundle(bundle: Bundle, real: bool) -> None:
    """Check that the bundle has the networks for a training, with or without real images.

    Raises:
        BundleError: For the first one that is missing.
    """
    for role in ("generator", "clip", *(("e4e",) if real else ())):
        bundle.path(role)


def configuration(
    bundle: Bundle, preset: Preset, options: Options, real_images: Images | None
) -> dict[str, object]:
    """Everything that must be the same when a run is resumed, as JSON."""
    return {
        "domain": bundle.domain,
        "weights": bundle.fingerprint(("generator", "clip", "e4e")),
        "preset": json.loads(json.dumps(asdict(preset))),
        "seed": options.seed,
        "real_images": real_images.digest() if real_images is not None else None,
    }


def check_configuration(run: Run, wanted: dict[str, object]) -> None:
    """Compare with the configuration of the run to resume, or store that of a new run.

    Raises:
        RequestError: If it differs, with the names of what differs.
    """
    path = run.folder / "configuration.json"
    if not run.state_path.exists():
        write_whole(path, (json.dumps(wanted, indent=2) + "\n").encode(), BundleError)
        return
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):  # missing or damaged
        found = None
    different = differences(found if isinstance(found, dict) else {}, wanted)
    if different:
        raise RequestError(
            f"The run in {run.folder} differs in its {' and '.join(different)}: use the arguments "
            "that it was started with, choose another folder with --work, or use --restart."
        )


def differences(found: dict[str, object], wanted: dict[str, Any]) -> list[str]:
    """Names of the settings that differ; "steps" if only the length of the preset does."""
    names = [name for name, value in wanted.items() if found.get(name) != value]
    before, now = found.get("preset"), wanted["preset"]
    if isinstance(before, dict) and before != now == before | {"iterations": now["iterations"]}:
        names[names.index("preset")] = "steps"
    return names


def save(state: Alignment, real_images: Images | None, run: Run) -> None:
    """Save a checkpoint and a sample grid."""
    run.save_checkpoint(state.stateful(), state.step)
    show(state, real_images, run)


@torch.no_grad()
def show(state: Alignment, real_images: Images | None, run: Run) -> None:
    """Write a sample grid: images above the images that G makes of M's codes for them."""
    embedder, generator = state.embedder, state.embedder.generator
    if real_images is not None:
        shown = real_images.images(real_images.shown(SHOWN)).to(embedder.device)
    else:
        codes = state.bank.subjects(SHOWN).to(embedder.device)
        shown = generator.synthesise(codes).clamp(-1, 1)
    codes = state.average(embedder.clip.embed_images(shown))
    made = [generator.synthesise(part) for part in codes.split(embedder.batch)]
    run.save_sample_grid(shown, torch.cat(made))


def shown_by(bar: tqdm) -> Progress:
    """A callback that moves a progress bar."""

    def show(done: int, total: int, message: str) -> None:
        bar.update(done - bar.n)

    return show
