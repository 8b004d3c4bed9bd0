"""Measures quality by generator evaluations for the presets paper, fast and quick."""

from __future__ import annotations

from pathlib import Path

from tmsa_core.evaluation.alignment.losses import RenderedImages
from tmsa_core.evaluation.alignment.setup import (
    COMMON_LENGTH,
    StudySetup,
    judge,
    open_log,
    raw_direction,
    study_bank,
)
from tmsa_core.evaluation.json_lines import Row
from tmsa_core.evaluation.prompts import SIX, Prompt
from tmsa_core.networks.tmsa import Mapper
from tmsa_core.progress import no_progress
from tmsa_core.training.mapper.bank import Bank, ImageEmbedder, synthetic_bank
from tmsa_core.training.mapper.calibration_texts import embed_pairs
from tmsa_core.training.mapper.loop import train_alignment
from tmsa_core.training.mapper.presets import FAST, Preset, paper_preset
from tmsa_core.training.mapper.quick import choose_mapper
from tmsa_core.training.run import Options

MARKS = (300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_200_000, 9_600_000)
QUICK_PAIRS = (64, 256, 1_024, 4_096, 16_384)
REAL = 2_048
JUDGED_PAIRS = 4_096


def run(
    setup: StudySetup, out: Path, work: Path, prompts: tuple[Prompt, ...] = SIX, limit: int = 30_000
) -> list[Row]:
    """Measures every preset at every mark; keeps the rows that are in ``out``.

    All mappers are judged alike: their raw shifts at one common length, against the true direction
    and on held-out portraits. Images for the judgement are not counted.

    Args:
        setup: The portraits and networks.
        out: The file of rows.
        work: Folder for banks and trained mappers.
        prompts: The prompts.
        limit: The highest number of generator evaluations.

    Returns:
        All rows of the study.
    """
    log, bank = open_log(out, "curve", setup.bundle), study_bank(setup, JUDGED_PAIRS, work)
    count = {"portraits": len(setup.codes)}
    for pairs in (pairs for pairs in QUICK_PAIRS if pairs <= limit):
        key = {"row": "point", "schedule": "quick", "pairs": pairs} | count
        if not log.find(**key):
            log.add([key | _quick(setup, bank, pairs, prompts)])
    for preset in (FAST, paper_preset("avatar")):
        for mark in (mark for mark in MARKS if preset.bank < mark <= limit):
            key = {"row": "point", "schedule": preset.name, "mark": mark} | count
            if not log.find(**key):
                log.add([key | _trained(setup, bank, preset, mark, work, prompts)])
    return log.rows


def _quick(setup: StudySetup, bank: Bank, pairs: int, prompts: tuple[Prompt, ...]) -> Row:
    embedder = ImageEmbedder(setup.embedder.generator, setup.embedder.clip)
    own = synthetic_bank(embedder, pairs, seed=0, progress=no_progress)
    texts = embed_pairs(embedder.clip, setup.bundle.domain)
    mapper, noise, _ = choose_mapper(own, embedder, texts)
    return {"evaluations": embedder.evaluations, "noise": noise} | _judge(
        setup, bank, mapper, prompts
    )


def _trained(
    setup: StudySetup,
    bank: Bank,
    preset: Preset,
    mark: int,
    work: Path,
    prompts: tuple[Prompt, ...],
) -> Row:
    options = Options(work, setup.bundle.folder)
    images = RenderedImages(REAL, setup.embedder.generator.resolution)
    name = f"curve-{preset.name}"
    state = train_alignment(setup.bundle, preset, options, images, name, until=mark)
    figures = {"evaluations": state.embedder.evaluations, "steps": state.step}
    return figures | _judge(setup, bank, state.average, prompts)


def _judge(setup: StudySetup, bank: Bank, mapper: Mapper, prompts: tuple[Prompt, ...]) -> Row:
    return judge(setup, bank, raw_direction(mapper), prompts, COMMON_LENGTH * bank.spread())
