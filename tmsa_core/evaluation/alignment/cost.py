"""Quality against generator evaluations: the paper's schedule, ours, and the closed form."""

from __future__ import annotations

from pathlib import Path

from tmsa_core.evaluation.alignment.losses import RenderedImages
from tmsa_core.evaluation.alignment.setup import (
    COMMON_LENGTH,
    Log,
    Row,
    StudySetup,
    judge,
    raw_direction,
    study_bank,
)
from tmsa_core.evaluation.prompts import SIX, Prompt
from tmsa_core.networks.tmsa import Mapper
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
    stage: StudySetup, out: Path, work: Path, prompts: tuple[Prompt, ...] = SIX, limit: int = 30_000
) -> list[Row]:
    """Quality at every mark up to ``limit`` evaluations; goes on where it stopped.

    All are judged alike: the raw shift of M at one common length, against the true direction and
    on held-out portraits. What the judging draws is not counted.
    """
    log, bank = Log(out, "curve", stage.bundle), study_bank(stage, JUDGED_PAIRS, work)
    for pairs in QUICK_PAIRS:
        if pairs <= limit:
            key = {"row": "point", "schedule": "quick", "pairs": pairs}
            log.add(
                key | {"portraits": len(stage.codes)},
                lambda n=pairs: _quick(stage, bank, n, prompts),
            )
    for preset in (FAST, paper_preset("avatar")):
        for mark in (m for m in MARKS if preset.bank < m <= limit):
            key = {"row": "point", "schedule": preset.name, "mark": mark}
            log.add(
                key | {"portraits": len(stage.codes)},
                lambda p=preset, m=mark: _trained(stage, bank, p, m, work, prompts),
            )
    return log.rows


def _quick(stage: StudySetup, bank: Bank, pairs: int, prompts: tuple[Prompt, ...]) -> Row:
    embedder = ImageEmbedder(stage.embedder.generator, stage.embedder.clip)
    own = synthetic_bank(embedder, pairs, seed=0, tick=lambda count: None)
    texts = embed_pairs(embedder.clip, stage.bundle.domain)
    mapper, noise, _ = choose_mapper(own, embedder, texts)
    return {"evaluations": embedder.evaluations, "noise": noise} | _judge(
        stage, bank, mapper, prompts
    )


def _trained(
    stage: StudySetup,
    bank: Bank,
    preset: Preset,
    mark: int,
    work: Path,
    prompts: tuple[Prompt, ...],
) -> Row:
    options = Options(work, stage.bundle.folder)
    images = RenderedImages(REAL, stage.embedder.generator.resolution)
    name = f"curve-{preset.name}"
    state = train_alignment(stage.bundle, preset, options, images, name, until=mark)
    figures = {"evaluations": state.embedder.evaluations, "steps": state.step}
    return figures | _judge(stage, bank, state.average, prompts)


def _judge(stage: StudySetup, bank: Bank, mapper: Mapper, prompts: tuple[Prompt, ...]) -> Row:
    return judge(stage, bank, raw_direction(mapper), prompts, COMMON_LENGTH * bank.spread())
