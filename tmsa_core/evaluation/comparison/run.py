"""Runs methods x prompts x images and appends rows to a file that tables and figures read.

The field ``row`` says what a row describes:

    prompt     a prompt, and the attributes that its edits should keep
    judge      accuracy of the scoring classifier on the portraits
    inversion  how well e4e reconstructs one image
    strength   a method's working alpha and how it was found
    cost       seconds per text and per image
    edit       the scores of one edited image
    image      an edited image as WebP in base64, for the first few images

A stopped run resumes: rows of the same domain, weights, inversion and folder are not measured
again. Rows about TMSA also name its mapping network, so that a new one keeps the other methods'
rows.
"""

from __future__ import annotations

import base64
import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from tqdm import tqdm

from tmsa_core.baselines import METHODS, Edit, FrozenNetworks, Method, Texts, open_networks
from tmsa_core.baselines.interface import FROZEN_ROLES
from tmsa_core.bundles import Bundle
from tmsa_core.devices import report_out_of_memory
from tmsa_core.domains import find_domain
from tmsa_core.editing.inversions import WITH_DETAILS, Inversion, make_inversion
from tmsa_core.errors import RequestError
from tmsa_core.evaluation.comparison.strength_search import tune
from tmsa_core.evaluation.json_lines import Row, RowKind, RowLog
from tmsa_core.evaluation.judges import Evaluators, Reading, accuracies, compared, score, shows
from tmsa_core.evaluation.metrics import ssim
from tmsa_core.evaluation.prompts import Prompt
from tmsa_core.evaluation.subjects import VALIDATION, find_subjects
from tmsa_core.imaging.images import to_image
from tmsa_core.networks.e4e import Encoder
from tmsa_core.training.avatar.pixels import psnr

FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # multiples of the working alpha, for the alpha curve
BATCH = 16
QUALITY = 90  # of the kept images
ROWS = RowKind("domain", frozenset({"row", "domain"}), "results of `tmsa evaluate`")


@dataclass(frozen=True)
class Plan:
    """Settings of a comparison.

    Attributes:
        methods: Keys of ``METHODS``.
        prompts: The prompts.
        images: Number of images that each method edits.
        searched: The same for methods that search for every image.
        curve: Number of images that are edited at every multiple of ``FACTORS``.
        kept: Number of images that are kept as images.
        validation: Number of validation images that tune the strength of a method.
        search_validation: The same for methods that search for every image.
        examples: Number of validation images that define how well an image can fit a text.
        folder: Aligned crops to edit instead of the domain's own images.
        inversion: "e4e", "hfgi" or "sfe".
    """

    methods: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    images: int = 64
    searched: int = 8
    curve: int = 16
    kept: int = 6
    validation: int = 16
    search_validation: int = 2
    examples: int = 64
    folder: Path | None = None
    inversion: str = "e4e"

    def count(self, method: Method) -> int:
        """Returns the number of images that a method edits."""
        return min(self.images, self.searched) if method.searches else self.images


@report_out_of_memory
def compare(bundle: Bundle, plan: Plan, out: Path, parts: Path, device: str = "cpu") -> list[Row]:
    """Measures what the plan asks for and the file lacks.

    Args:
        bundle: The bundle of the domain.
        plan: The settings.
        out: The file of rows.
        parts: Folder for what methods prepare.
        device: Device of the networks.

    Returns:
        All rows of this run.

    Raises:
        RequestError: ``out`` contains something else, or ``plan.folder`` has too few images.
    """
    networks = open_networks(bundle, parts, device)
    run = {
        "domain": bundle.domain,
        "weights": bundle.fingerprint(FROZEN_ROLES),
        "inversion": plan.inversion,
        "folder": None if plan.folder is None else str(plan.folder),
    }
    log = RowLog(out, ROWS, run)
    # No method can reach the classifier, because it is loaded here.
    has_truth = find_domain(bundle.domain).has_truth
    classifier = bundle.load("classifier", device) if has_truth else None
    judges = Evaluators(networks.clip, networks.identity, classifier)
    inversion = None
    if plan.inversion in WITH_DETAILS:
        load, encoder = partial(bundle.load, device=device), cast(Encoder, networks.encoder)
        inversion = make_inversion(plan.inversion, networks.generator, encoder, load)
    ComparisonRun(networks, judges, plan, log, bundle.fingerprint(("mapper",)), inversion).run()
    return log.rows


@dataclass(frozen=True)
class _Task:
    """One method and one prompt. about: the fields that its rows share; lacking: per image."""

    method: Method
    prompt: Prompt
    alpha: float
    about: Row
    lacking: Sequence[bool]


class ComparisonRun:
    """A comparison in progress: networks, images and the rows so far.

    Args:
        networks: The networks that methods may use.
        judges: The networks that score.
        plan: The settings.
        log: The rows.
        mapper: Fingerprint of the mapping network.
        inversion: How images are inverted; None for e4e, whose codes the methods edit.
    """

    def __init__(
        self,
        networks: FrozenNetworks,
        judges: Evaluators,
        plan: Plan,
        log: RowLog,
        mapper: str,
        inversion: Inversion | None = None,
    ) -> None:
        self.networks, self.judges, self.plan, self.log = networks, judges, plan, log
        self.mapper, self.inversion = mapper, inversion
        self.subjects = find_subjects(networks, plan.images, folder=plan.folder)
        every = torch.arange(plan.images)
        no_edit = Edit(w_shift=torch.zeros(1, 1, 1, device=networks.device))
        self.before = self._read(self._apply(no_edit, every, every, 0.0), every)

    def run(self) -> None:
        """Measures everything that the log lacks."""
        self._log_prompts()
        self._log_inversions()
        for name in self.plan.methods:
            alpha = self._strength(name, METHODS[name])
            for prompt in self.plan.prompts:
                self._edit(name, METHODS[name], prompt, alpha)

    def _log_prompts(self) -> None:
        for prompt in self.plan.prompts:
            row = {
                "row": "prompt",
                "prompt": prompt.name,
                "neutral": prompt.neutral,
                "target": prompt.target,
                "without": prompt.without,
                "compared": compared(prompt) if prompt.wanted else [],
            }
            if not self.log.find(**row):
                self.log.add([row])

    def _log_inversions(self) -> None:
        """Measures the classifier on the portraits, and the inversion of each image."""
        subjects, log, count = self.subjects, self.log, self.plan.images
        real = self._read(subjects.images, torch.arange(count))
        if subjects.portraits is not None and not log.find(row="judge", images=count):
            rates = accuracies(real.attributes.attributes, subjects.portraits)
            shown = [rate for rate in rates.values() if not math.isnan(rate)]
            log.add([{"row": "judge", "images": count, "mean": sum(shown) / len(shown)} | rates])
        known = {row["image"] for row in log.find(row="inversion")}
        log.add(self._inversion_row(real, i) for i in range(count) if i not in known)
        for i in range(min(self.plan.kept, count)):
            for name, images in (("portrait", subjects.images), ("inversion", self.before.images)):
                if not log.find(row="image", method=name, image=i):
                    log.add([_image_row(images[i], {"method": name, "image": i})])

    def _inversion_row(self, real: Reading, i: int) -> Row:
        a, b = real.images[i : i + 1], self.before.images[i : i + 1]
        row = {"row": "inversion", "image": i, "l2": float((a - b).square().mean())}
        row |= {"psnr": psnr(b, a), "ssim": float(ssim(a, b)[0])}
        if real.identity is not None and self.before.identity is not None:
            row["identity"] = float(real.identity[i] @ self.before.identity[i])
        return row

    @cached_property
    def _validation(self) -> tuple[Tensor, Tensor]:
        """Codes (N,L,w_dim) and CLIP embeddings (N,clip_dim) of images outside the test set."""
        subjects = find_subjects(self.networks, self.plan.examples, VALIDATION)
        return subjects.codes, self.judges.read(subjects.images).clip

    def _strength(self, name: str, method: Method) -> float:
        """Returns the working alpha of a method; prepares and tunes it unless the log has it."""
        about = self._about(name, method)
        if found := self.log.find(row="strength", **about):
            return float(found[-1]["alpha"])
        once = method.prepare(self.networks) if method.prepare else 0.0
        count, alpha, reached = 0, method.strengths[0], []
        if len(method.strengths) > 1:
            count = self.plan.search_validation if method.searches else self.plan.validation
            codes, examples = self._validation
            alpha, reached = tune(self.networks, method, codes[:count], examples, self.plan.prompts)
        row = {
            "row": "strength",
            "alpha": alpha,
            "strengths": list(method.strengths),
            "reached": reached,
            "portraits": count,
            "once": once,
            "settings": method.differences(self.networks.domain),
        }
        self.log.add([row | about])
        return float(self.log.rows[-1]["alpha"])

    def _edit(self, name: str, method: Method, prompt: Prompt, alpha: float) -> None:
        """Edits and scores every image that lacks what the prompt asks for, and the kept images."""
        about = self._about(name, method) | {"prompt": prompt.name, "target": prompt.target}
        showing = shows(self.before, prompt)
        lacking = [showing is None or not bool(showing[i]) for i in range(self.plan.images)]
        task = _Task(method, prompt, alpha, about, lacking)
        todo = self._missing(task)
        if not todo:
            return
        texts = Texts(prompt.neutral, prompt.target)
        prepared = method.prepare_text(self.networks, texts) if method.prepare_text else 0.0
        size = BATCH if method.searches else len(todo)
        parts = [todo[start : start + size] for start in range(0, len(todo), size)]
        for part in tqdm(parts, desc=f"{name}: {prompt.name}", mininterval=2):
            begun = time.perf_counter()
            index = torch.tensor([i for i, _ in part])
            edit = method.find_edit(self.networks, self.subjects.codes[index], texts)
            found = time.perf_counter() - begun
            rows, drawn = self._score(task, edit, part)
            # A search belongs to each image, everything else to the text.
            per_text = prepared if method.searches else prepared + found
            per_image = drawn + (found / len(part) if method.searches else 0.0)
            cost = {"row": "cost", "text": per_text, "image": per_image} | about
            # The cost comes first: a run that is stopped in between repeats the edits after it.
            self.log.add([cost, *rows])

    def _score(
        self, task: _Task, edit: Edit, part: Sequence[tuple[int, list[float]]]
    ) -> tuple[list[Row], float]:
        """Applies an edit of some images at their factors.

        Returns:
            The rows, and the seconds per image of the last factor.
        """
        index = torch.tensor([i for i, _ in part])
        prompt, judges = task.prompt, self.judges
        texts = judges.text(prompt.target), judges.text(prompt.without)
        rows: list[Row] = []
        seconds = 0.0
        for factor in FACTORS:
            at = torch.tensor([k for k, (_, factors) in enumerate(part) if factor in factors])
            if not len(at):
                continue
            begun = time.perf_counter()
            images = self._apply(edit, index, at, factor * task.alpha)
            seconds = (time.perf_counter() - begun) / len(at)
            own = index[at]
            scores = score(self.before[own], self._read(images, own), prompt, *texts)
            for i, image, scored in zip(own.tolist(), images, scores, strict=True):
                row = {"image": i, "lacking": task.lacking[i]} | task.about
                row |= {"alpha": factor * task.alpha, "factor": factor}
                if i < self.plan.kept and factor == 1.0:
                    rows.append(_image_row(image, row))
                rows.append({"row": "edit"} | row | scored)
        return rows, seconds

    def _about(self, name: str, method: Method) -> Row:
        return {"method": name} | ({"mapper": self.mapper} if method.mapper else {})

    def _missing(self, task: _Task) -> list[tuple[int, list[float]]]:
        """Returns (image, factors) without a row, or without an image that is to be kept."""
        done = {(r["image"], r["factor"]) for r in self.log.find(row="edit", **task.about)}
        kept = {row["image"] for row in self.log.find(row="image", **task.about)}
        done -= {(i, 1.0) for i in range(self.plan.kept) if i not in kept}
        todo = []
        for i, lacks in enumerate(task.lacking[: self.plan.count(task.method)]):
            factors = FACTORS if lacks and i < self.plan.curve else (1.0,)
            missing = [f for f in factors if (i, f) not in done]
            if missing and (lacks or i < self.plan.kept):
                todo.append((i, missing))
        return todo

    @torch.inference_mode()
    def _apply(self, edit: Edit, index: Tensor, at: Tensor, alpha: float) -> Tensor:
        """Returns the edited images (M,3,R,R).

        Args:
            edit: An edit of the N codes at ``index``, or one for all codes.
            index: (N,) indices of images.
            at: (M,) positions in ``index``.
            alpha: The strength.
        """
        parts = at.split(BATCH)
        return torch.cat([self._generate(index[some], _take(edit, some), alpha) for some in parts])

    def _generate(self, index: Tensor, edit: Edit, alpha: float) -> Tensor:
        if self.inversion is None:
            return edit.apply(self.networks.generator, self.subjects.codes[index], alpha)
        if edit.w_shift is None:
            name = self.plan.inversion
            raise RequestError(f"{name} needs edits in W+; leave out styleclip_global.")
        images = self.subjects.images[index]
        w_plus, details = self.inversion.invert(images, images)
        shift = (alpha * edit.w_shift).expand_as(w_plus)
        return self.inversion.draw(w_plus, shift, details).clamp(-1, 1)

    def _read(self, images: Tensor, index: Tensor) -> Reading:
        portraits = self.subjects.portraits
        return self.judges.read(images, None if portraits is None else portraits[index].traits)


def _take(edit: Edit, at: Tensor) -> Edit:
    """Returns the edit of the codes at some positions (M,)."""

    def some(x: Tensor) -> Tensor:
        return x if len(x) == 1 else x[at]

    w_shift = None if edit.w_shift is None else some(edit.w_shift)
    return Edit(w_shift, tuple(some(s) for s in edit.style_shift))


def _image_row(pixels: Tensor, about: Row) -> Row:
    """Returns a row with an image (3,R,R) in [-1,1]."""
    buffer = io.BytesIO()
    to_image(pixels).save(buffer, "WEBP", quality=QUALITY)
    return {"row": "image", "webp": base64.b64encode(buffer.getvalue()).decode()} | about
