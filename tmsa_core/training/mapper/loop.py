"""Training the alignment in any domain: the mapping network M with losses (1) to (4).

The frozen networks of a bundle are all it needs; real images make losses (1) and (4) possible.
Everything random at a step follows from the seed and the step's number, so that a run that was
killed and resumed does what an unbroken one does, and several processes, each with its slice
of every batch, do what one does.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from tqdm import tqdm

from tmsa_core.bundles import Bundle
from tmsa_core.devices import report_out_of_memory
from tmsa_core.domains import find_domain
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.files import write_whole
from tmsa_core.networks.tmsa import Mapper
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
from tmsa_core.training.run import Options, Run, set_rate, update_average

if TYPE_CHECKING:
    from accelerate import Accelerator

MEASURING_PAIRS = 1_024  # synthetic pairs that set M's means and spread where no bank is kept
CHECKPOINTING_SIDE = 512  # from here on images pass G one by one and are drawn again for gradients
LOG_EVERY = 50  # steps
SHOWN = 16
BANK_SEED, STEP_SEED = 11, 1_000_003


@dataclass(frozen=True)
class Batch:
    """One process's slice of a step: embeddings (B,D) with codes w (B,512) and (B,L,512).

    noisy_synthetic, noisy_real: the embeddings with the noise that regularises M. Everything real
    is empty where there are no real images.
    """

    synthetic: Tensor
    noisy_synthetic: Tensor
    w: Tensor
    real: Tensor
    noisy_real: Tensor
    inverted: Tensor


@dataclass
class Alignment:
    """A run under way: the frozen networks, the pairs, and M with its average.

    seconds: what it took until it was last stopped.
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

    def parts(self) -> dict[str, object]:
        """What a checkpoint holds."""
        return {
            "model": self.model,
            "average": self.average,
            "optimiser": self.optimiser,
            "studio": self.embedder,
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
    """Train M until the preset's iterations or the option's minutes are over; resumes.

    The state lies in ``options.work / name``. until: stop as soon as the generator was evaluated so
    often; the same call with more goes on. Raises BundleError for missing networks and
    RequestError for a state of another configuration or a batch that the processes cannot share.
    Ctrl-C keeps the state, too.
    """
    accelerator = start_processes(options.device)
    if preset.batch % accelerator.num_processes or preset.image_batch % accelerator.num_processes:
        raise RequestError(
            f"{accelerator.num_processes} processes cannot share batches of {preset.batch} pairs "
            f"and {preset.image_batch} images evenly: use a number that divides both."
        )
    check_bundle(bundle, real_images is not None)
    images = preset.iterations * preset.batch
    run = Run(name, options, images, "image", quiet=not accelerator.is_main_process)
    check_configuration(run, configuration(bundle, preset, options, real_images))
    if real_images is None and accelerator.is_main_process:
        tqdm.write("Note: without real images losses (1) and (4) are left out.", file=sys.stderr)
    device = str(accelerator.device)
    generator, clip = bundle.load("generator", device), bundle.load("clip", device)
    embedder = ImageEmbedder(generator, clip, device, accelerator.num_processes)
    with accelerator.main_process_first():
        bank = make_bank(bundle, embedder, preset, options.seed, real_images, run.folder)
    embedder.evaluations = len(bank.w)
    state = new_alignment(embedder, bank, preset, options.seed)
    state.step = run.resume(state.parts())
    with run.whole_steps():
        while agree(accelerator, run.should_continue(state.step * preset.batch)):
            if until is not None and embedder.evaluations >= until:
                break
            losses = train_step(state, accelerator)
            if state.step % LOG_EVERY == 0 or state.step == preset.iterations:
                rate, evaluations = preset.rate_at(state.step - 1), embedder.evaluations
                losses = averaged(accelerator, losses)
                run.log(state.step, evaluations=evaluations, rate=rate, **losses)
            if accelerator.is_main_process and run.checkpoint_due():
                run.save_checkpoint(state.parts(), state.step)
                show(state, real_images, run)
        if accelerator.is_main_process:
            run.save_checkpoint(state.parts(), state.step)
            show(state, real_images, run)
        accelerator.wait_for_everyone()
    state.seconds = run.seconds
    return state


def export_alignment(state: Alignment, bundle: Bundle, command: str) -> dict[str, object]:
    """Put the averaged M into the bundle, calibrated for text unless the preset wants it raw.

    Returns what its file says of how it was made. Of several processes only the first writes, and
    the others return nothing.
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
    origin["evaluations"] = state.embedder.evaluations  # the calibration's are among them
    save_mapper(mapper, bundle, origin, state.seconds + time.monotonic() - started)
    return origin


def train_step(state: Alignment, accelerator: Accelerator) -> dict[str, Tensor]:
    """One step of Adam on this process's slice; the losses, by name."""
    preset, weights, step = state.preset, state.preset.weights, state.step
    set_rate(state.optimiser, preset.rate_at(step))
    rng = torch.Generator().manual_seed(state.seed * STEP_SEED + step)
    batch = draw_batch(state, rng, accelerator)
    losses = code_losses(state.model, batch)
    total = weights.ia * losses["ia"]
    if "ada" in losses:
        total = total + weights.ada * losses["ada"]
    if step % preset.image_every == 0:
        count = preset.image_batch // accelerator.num_processes
        losses |= image_losses(state.model, batch, state.embedder, count)
        total = total + preset.image_every * weights.iai * losses["iai"]
        if "sa" in losses:
            total = total + preset.image_every * weights.sa * losses["sa"]
    state.optimiser.zero_grad()
    total.backward()
    average_gradients(accelerator, state.model)
    state.optimiser.step()
    update_average(state.average, state.model, preset.decay)
    state.step += 1
    return losses


def code_losses(model: Mapper, batch: Batch) -> dict[str, Tensor]:
    """Losses (2) and (4), each divided by the number of components of a code."""
    size = model.latent_avg.numel()
    losses = {"ia": in_domain(model.from_point(batch.noisy_synthetic), batch.w) / size}
    if len(batch.real):
        losses["ada"] = adaption(model.from_point(batch.noisy_real), batch.inverted) / size
    return losses


def image_losses(
    model: Mapper, batch: Batch, embedder: ImageEmbedder, count: int
) -> dict[str, Tensor]:
    """Losses (3) and (1) on the first ``count`` pairs of each kind, through G and CLIP."""
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
    """This process's slice of a step's pairs: every so many-th row of the whole batch."""
    preset, bank, embedder = state.preset, state.bank, state.embedder
    mine = slice(accelerator.process_index, None, accelerator.num_processes)
    count, width = preset.batch, bank.synthetic.shape[1]
    noise = preset.noise / width**0.5 * torch.randn(2, count, width, generator=rng)[:, mine]
    if preset.bank:
        rows = torch.randint(len(bank.w), (count,), generator=rng)[mine]
        synthetic, w = bank.synthetic[rows], bank.w[rows]
    else:
        z = torch.randn(count, 512, generator=rng)[mine]
        synthetic, w = (x.clone() for x in embedder.pairs(z))  # clones may meet gradients
    rows = torch.arange(0)
    if len(bank.real):
        rows = torch.randint(len(bank.real), (count,), generator=rng)[mine]
    real, inverted = bank.real[rows], bank.inverted[rows]
    noisy_real = real + noise[1, : len(real)]
    parts = (synthetic, synthetic + noise[0], w, real, noisy_real, inverted)
    return Batch(*(part.to(embedder.device, torch.float32) for part in parts))


def new_alignment(embedder: ImageEmbedder, bank: Bank, preset: Preset, seed: int) -> Alignment:
    """M as it starts: in closed form or at random, the same in every process."""
    torch.manual_seed(seed + 4)
    if preset.closed_form:
        model = closed_form(bank, preset.noise, preset.hidden)
    else:
        model = random_mapper(bank, preset.hidden)
    model = model.to(embedder.device)
    optimiser = torch.optim.Adam(model.parameters(), lr=preset.rate, betas=(0.9, 0.999))
    return Alignment(preset, seed, embedder, bank, model, copy.deepcopy(model), optimiser)


def random_mapper(bank: Bank, hidden: tuple[int, ...]) -> Mapper:
    """M with random weights that already knows the means and the spread of the bank."""
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
    """Draw and invert what the run learns from; kept on disk until a network or image changes."""
    count = preset.bank or MEASURING_PAIRS
    key = {"weights": bundle.fingerprint(("generator", "clip")), "count": count, "seed": seed}

    def draw(parts: Parts) -> dict[str, Tensor]:
        with tqdm(total=count, desc="synthetic pairs", unit="image", mininterval=10) as bar:
            synthetic, w = synthetic_pairs(embedder, count, seed + BANK_SEED, bar.update, parts)
        return {"synthetic": synthetic, "w": w}

    def invert(parts: Parts) -> dict[str, Tensor]:
        encoder, content = bundle.load("e4e", embedder.device), find_domain(bundle.domain).content
        rows = torch.arange(len(real_images)).split(REAL_BATCH)
        with tqdm(total=len(real_images), desc="e4e codes", unit="image", mininterval=10) as bar:
            images = [partial(real_images.images, batch) for batch in rows]
            real, codes = real_pairs(images, embedder, encoder, content, bar.update, parts)
        return {"real": real, "inverted": codes}

    drawn = cached(folder, "synthetic", key, draw)
    if real_images is None:
        empty = drawn["w"].new_zeros(0, embedder.generator.levels, drawn["w"].shape[1])
        return Bank(**drawn, real=drawn["synthetic"][:0], inverted=empty)
    key = {"weights": bundle.fingerprint(("clip", "e4e")), "real_images": real_images.digest()}
    return Bank(**drawn, **cached(folder, "real", key, invert))


def check_bundle(bundle: Bundle, real: bool) -> None:
    """Raise BundleError for the first network that is needed, with real images or without."""
    for role in ("generator", "clip", *(("e4e",) if real else ())):
        bundle.path(role)


def configuration(
    bundle: Bundle, preset: Preset, options: Options, real_images: Images | None
) -> dict[str, object]:
    """Everything that a resumed run must share with the one it goes on from, as JSON."""
    return {
        "domain": bundle.domain,
        "weights": bundle.fingerprint(("generator", "clip", "e4e")),
        "preset": json.loads(json.dumps(asdict(preset))),
        "seed": options.seed,
        "real_images": real_images.digest() if real_images is not None else None,
    }


def check_configuration(run: Run, wanted: dict[str, object]) -> None:
    """Compare with the run whose state lies in the folder, or note what this one is.

    Raises RequestError that names what differs.
    """
    path = run.folder / "configuration.json"
    if not run.state_path.exists():
        write_whole(path, (json.dumps(wanted, indent=2) + "\n").encode(), BundleError)
        return
    different = differences(read_configuration(path), wanted)
    if different:
        raise RequestError(
            f"The run in {run.folder} differs in its {' and '.join(different)}: go on as it was "
            "started, choose another folder with --work, or use --restart."
        )


def read_configuration(path: Path) -> dict[str, object]:
    """What ``check_configuration`` noted; nothing where that is lost or damaged."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def differences(found: dict[str, object], wanted: dict[str, object]) -> list[str]:
    """The names of what differs; of two presets alike but for their length it is the steps."""
    names = [name for name, value in wanted.items() if found.get(name) != value]
    if "preset" in names and isinstance(was := found.get("preset"), dict):
        now: dict[str, object] = wanted["preset"]  # type: ignore[assignment]
        if was | {"iterations": now["iterations"]} == now:
            names[names.index("preset")] = "steps"
    return names


def start_processes(device: str) -> Accelerator:
    """This process's place among all that `accelerate launch` started, or alone."""
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise RequestError(
            "Training needs the package accelerate: run `pip install 'tmsa[train]'`."
        ) from error
    return Accelerator(cpu=torch.device(device).type == "cpu")


def agree(accelerator: Accelerator, should_continue: bool) -> bool:
    """What the first process says, so that all stop at the same step."""
    if accelerator.num_processes == 1:
        return should_continue
    from accelerate.utils import broadcast

    return bool(broadcast(torch.tensor(float(should_continue), device=accelerator.device)))


def average_gradients(accelerator: Accelerator, model: nn.Module) -> None:
    """Replace the gradients of each process by the mean over all."""
    if accelerator.num_processes == 1:
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    joined = accelerator.reduce(torch.cat([g.flatten() for g in gradients]), reduction="mean")
    for gradient, part in zip(gradients, joined.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def averaged(accelerator: Accelerator, losses: dict[str, Tensor]) -> dict[str, float]:
    """The mean of each loss over all processes."""
    values = torch.stack([value.detach().float() for value in losses.values()])
    if accelerator.num_processes > 1:
        values = accelerator.reduce(values, reduction="mean")
    return dict(zip(losses, values.tolist(), strict=True))


@torch.no_grad()
def show(state: Alignment, real_images: Images | None, run: Run) -> None:
    """Write the sample grid: images above what G makes of M's code for them."""
    embedder, bank = state.embedder, state.bank
    if real_images is not None:
        shown = real_images.images(real_images.shown(SHOWN)).to(embedder.device)
    else:
        shown = embedder.generator.synthesise(bank.subjects(SHOWN).to(embedder.device)).clamp(-1, 1)
    codes = state.average(embedder.clip.embed_images(shown))
    run.save_sample_grid(
        shown, torch.cat([embedder.generator.synthesise(c) for c in codes.split(embedder.batch)])
    )
