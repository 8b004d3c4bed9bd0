"""Methods x prompts x images, to a file of JSON lines that tables and figures read.

Every line says what it is in ``row``:

    prompt     a prompt, and the attributes that its edits should leave alone
    judge      how often the scoring classifier is right on renders
    inversion  what e4e kept of one image
    strength   a method's working alpha and how it was found
    cost       seconds: once, for a text, for an image
    edit       one edited image, scored
    image    the same as WebP in base64, for the first few images

A run that was stopped goes on where it was: what a line of the same domain, weights, inversion and
folder already says is not done again. Lines about TMSA name its mapping network besides, so that a
new one leaves the other methods' lines as they are. A half-written last line is cut off; a file
of something else is never written to.
"""

from __future__ import annotations

import base64
import io
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from tmsa_core.avatars.params import ATTRIBUTES
from tmsa_core.avatars.visibility import visible
from tmsa_core.baselines import METHODS, Edit, FrozenNetworks, Method, Texts, open_networks
from tmsa_core.baselines.interface import FROZEN_ROLES
from tmsa_core.bundles import Bundle
from tmsa_core.devices import report_out_of_memory
from tmsa_core.domains import find_domain
from tmsa_core.editing.shift import embed_text
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.evaluation.comparison.strength_search import tune
from tmsa_core.evaluation.json_lines import Lines, cut_half_line
from tmsa_core.evaluation.judges import Evaluators, Reading, Row, compared, score, shows
from tmsa_core.evaluation.metrics import agreement, ssim
from tmsa_core.evaluation.prompts import Prompt
from tmsa_core.evaluation.subjects import VALIDATION, find_subjects
from tmsa_core.imaging.images import to_image
from tmsa_core.networks.hfgi import HFGI
from tmsa_core.training.avatar.pixels import psnr

FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # of the working strength: the curve along alpha
BATCH = 16
QUALITY = 90  # of the kept images
LINES = Lines("domain", frozenset({"row", "domain"}), "results of `tmsa evaluate`")


@dataclass(frozen=True)
class Plan:
    """What to run.

    images: how many images; searched: how many for methods that search for every image.
    curve: how many get every strength of ``FACTORS`` and not the working one alone. kept: how many
    are kept as images. validation, search_validation: how many tune the strength of a method,
    and of one that searches. examples: how many validation images say what fits a text best.
    folder: aligned crops to take. inversion: e4e or hfgi.
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
        """How many images a method edits."""
        return min(self.images, self.searched) if method.searches else self.images


class Results:
    """A file of JSON lines, and the lines of one run in it."""

    def __init__(self, path: Path, run: Row) -> None:
        self.path, self.run = path, run
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = [row for row in read_rows(path) if same_run(row, run)]
        cut_half_line(path)

    def add(self, rows: Sequence[Row]) -> None:
        """Append lines, at once on disk."""
        full = [self.run | row for row in rows]
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in full)
        self.rows += full

    def find(self, kind: str, **fields: object) -> list[Row]:
        """The lines of a kind with these fields."""
        return [r for r in self.rows if r["row"] == kind and fields.items() <= r.items()]


def same_run(row: Row, run: Row) -> bool:
    """Whether a line belongs to a run: domain, weights, inversion and folder are those of it."""
    return all(row.get(key) == value for key, value in run.items())


def read_rows(path: Path) -> list[Row]:
    """The lines of a file but for a half-written last one; RequestError for other files."""
    return LINES.read(path)


@report_out_of_memory
def compare(bundle: Bundle, plan: Plan, out: Path, parts: Path, device: str = "cpu") -> list[Row]:
    """Run what the plan asks for and the file lacks; the lines of this run."""
    world = open_networks(bundle, parts, device)
    run: Row = {
        "domain": bundle.domain,
        "weights": bundle.fingerprint(FROZEN_ROLES),
        "inversion": plan.inversion,
        "folder": None if plan.folder is None else str(plan.folder),
    }
    results = Results(out, run)
    hfgi = bundle.load("hfgi", device) if plan.inversion == "hfgi" else None
    mapper = bundle.fingerprint(("mapper",))
    scene = ComparisonRun(world, _judges(bundle, world), plan, results, mapper, hfgi)
    scene.note_prompts()
    scene.measure_inversions()
    for name in plan.methods:
        method = METHODS[name]
        alpha = scene.strength(name, method)
        for prompt in plan.prompts:
            scene.edit(name, method, prompt, alpha)
    return results.rows


def _judges(bundle: Bundle, world: FrozenNetworks) -> Evaluators:
    """The classifier is loaded here, where no method can reach it."""
    truth = find_domain(bundle.domain).has_truth
    classifier = bundle.load("classifier", world.device) if truth else None
    return Evaluators(world.clip, world.identity, classifier)


class ComparisonRun:
    """One run under way: networks, judges, images and the lines so far.

    mapper: the mapping network's fingerprint. hfgi: the network that puts back what e4e lost, or
    None to do without.
    """

    def __init__(
        self,
        world: FrozenNetworks,
        judges: Evaluators,
        plan: Plan,
        results: Results,
        mapper: str,
        hfgi: HFGI | None = None,
    ) -> None:
        self.world, self.judges, self.plan, self.results = world, judges, plan, results
        self.mapper, self.hfgi = mapper, hfgi
        self.subjects = find_subjects(world, plan.images, folder=plan.folder)
        every = torch.arange(plan.images)
        still = Edit(w_shift=torch.zeros(1, 1, 1, device=world.device))
        self.before = self._read(self._apply(still, every, every, 0.0), every)

    def note_prompts(self) -> None:
        """Lines about the prompts, so that the file explains itself."""
        for prompt in self.plan.prompts:
            row: Row = {
                "prompt": prompt.name,
                "neutral": prompt.neutral,
                "target": prompt.target,
                "without": prompt.without,
                "compared": compared(prompt) if prompt.wanted else [],
            }
            if not self.results.find("prompt", **row):
                self.results.add([{"row": "prompt"} | row])

    def measure_inversions(self) -> None:
        """Lines about the classifier and about what e4e kept of each image."""
        subjects, results = self.subjects, self.results
        real = self._read(subjects.images, torch.arange(self.plan.images))
        if subjects.portraits is not None and not results.find("judge", images=self.plan.images):
            results.add([self._judge_row(real)])
        known = {row["image"] for row in results.find("inversion")}
        missing = [i for i in range(self.plan.images) if i not in known]
        results.add([self._inversion_row(real, i) for i in missing])
        for i in range(min(self.plan.kept, self.plan.images)):
            for name, images in (("portrait", subjects.images), ("inversion", self.before.images)):
                if not results.find("image", method=name, image=i):
                    results.add([_image(images[i], method=name, image=i)])

    @cached_property
    def validation(self) -> tuple[Tensor, Tensor]:
        """Codes (N,L,w_dim) and CLIP embeddings (N,clip_dim) of images that no table counts."""
        subjects = find_subjects(self.world, self.plan.examples, VALIDATION)
        return subjects.codes, self.judges.read(subjects.images).seen

    def strength(self, name: str, method: Method) -> float:
        """The working alpha of a method, tuned unless a line has it; its preparation first."""
        about = self._about(name, method)
        if found := self.results.find("strength", **about):
            return float(str(found[-1]["alpha"]))
        once = method.prepare(self.world) if method.prepare else 0.0
        some, alpha, reached = 0, method.strengths[0], []
        if len(method.strengths) > 1:
            some = self.plan.search_validation if method.searches else self.plan.validation
            codes, examples = self.validation
            alpha, reached = tune(self.world, method, codes[:some], examples, self.plan.prompts)
        self.results.add(
            [
                {
                    "row": "strength",
                    "alpha": round(alpha, 4),
                    "strengths": list(method.strengths),
                    "reached": reached,
                    "portraits": some,
                    "once": once,
                    "settings": method.differences(self.world.domain),
                }
                | about
            ]
        )
        return round(alpha, 4)

    def edit(self, name: str, method: Method, prompt: Prompt, alpha: float) -> None:
        """Every image that lacks what the prompt asks for, and the kept ones anyway."""
        about = self._about(name, method) | {"prompt": prompt.name, "target": prompt.target}
        showing = shows(self.before, prompt)
        lacking = [showing is None or not bool(showing[i]) for i in range(self.plan.images)]
        todo = self._missing(about, lacking[: self.plan.count(method)])
        if not todo:
            return
        texts = Texts(prompt.neutral, prompt.target)
        once = method.prepare_text(self.world, texts) if method.prepare_text else 0.0
        wanted = tuple(embed_text(self.world.clip, t) for t in (prompt.target, prompt.without))
        chunk = BATCH if method.searches else len(todo)
        with tqdm(total=len(todo), desc=f"{name}: {prompt.name}", mininterval=2) as bar:
            for start in range(0, len(todo), chunk):
                part = todo[start : start + chunk]
                index = torch.tensor([i for i, _ in part])
                begun = time.perf_counter()
                edit = method.find_edit(self.world, self.subjects.codes[index], texts)
                found = time.perf_counter() - begun
                rows, seconds = [], 0.0
                for factor in FACTORS:
                    at = torch.tensor([k for k, (_, f) in enumerate(part) if factor in f]).long()
                    if len(at):
                        begun = time.perf_counter()
                        images = self._apply(edit, index, at, factor * alpha)
                        seconds = (time.perf_counter() - begun) / len(at)
                        marks = {"alpha": round(factor * alpha, 4), "factor": factor}
                        after, faces = self._read(images, index[at]), index[at].tolist()
                        scores = score(self.before[index[at]], after, prompt, *wanted)
                        for i, image, row in zip(faces, images, scores, strict=True):
                            marked = {"image": i, "lacking": lacking[i]} | about | marks
                            if i < self.plan.kept and factor == 1.0:
                                rows.append(_image(image, **marked))
                            rows.append({"row": "edit"} | marked | row)
                # the cost first: a run killed in between does the missing edits again, not it
                self.results.add([_cost(about, method, once, found, seconds, len(part)), *rows])
                bar.update(len(part))

    def _about(self, name: str, method: Method) -> Row:
        return {"method": name} | ({"mapper": self.mapper} if method.mapper else {})

    def _missing(self, about: Row, lacking: Sequence[bool]) -> list[tuple[int, list[float]]]:
        """(image, factors) that the file has no line about, or no image that is to be kept."""
        done = {(row["image"], row["factor"]) for row in self.results.find("edit", **about)}
        kept = {row["image"] for row in self.results.find("image", **about)}
        done -= {(i, 1.0) for i in range(self.plan.kept) if i not in kept}
        todo = []
        for i, lacks in enumerate(lacking):
            factors = FACTORS if lacks and i < self.plan.curve else (1.0,)
            missing = [f for f in factors if (i, f) not in done]
            if missing and (lacks or i < self.plan.kept):
                todo.append((i, missing))
        return todo

    @torch.inference_mode()
    def _apply(self, edit: Edit, index: Tensor, at: Tensor, alpha: float) -> Tensor:
        """Images (len(at),3,R,R) of some of the codes that an edit was found for."""
        parts = [self._draw(index[some], _take(edit, some), alpha) for some in at.split(BATCH)]
        return torch.cat(parts)

    def _draw(self, index: Tensor, edit: Edit, alpha: float) -> Tensor:
        codes = self.subjects.codes[index]
        if self.hfgi is None:
            return edit.apply(self.world.generator, codes, alpha)
        if edit.w_shift is None:
            raise RequestError("HFGI needs edits in W+; leave out styleclip_global.")
        images = self.hfgi.downscale(self.subjects.images[index])
        moved = codes + alpha * edit.w_shift
        return self.hfgi(self.world.generator, images, codes, moved).clamp(-1, 1)

    def _read(self, images: Tensor, index: Tensor) -> Reading:
        portraits = self.subjects.portraits
        return self.judges.read(images, None if portraits is None else portraits[index].traits)

    def _judge_row(self, real: Reading) -> Row:
        portraits, read = self.subjects.portraits, real.attributes
        if portraits is None or read is None:
            raise BundleError("Only drawn portraits can tell how often the classifier is right.")
        rates = {
            name: agreement(
                read.attributes[name], portraits.attributes[name], visible(portraits, name)
            )
            for name in ATTRIBUTES
        }
        seen = [rate for rate in rates.values() if not math.isnan(rate)]
        mean = sum(seen) / len(seen)
        # what none of a few portraits shows has no rate, and JSON has no "not a number"
        rounded = {k: None if math.isnan(rate) else round(rate, 4) for k, rate in rates.items()}
        return {"row": "judge", "images": self.plan.images, "mean": round(mean, 4)} | rounded

    def _inversion_row(self, real: Reading, i: int) -> Row:
        a, b = real.images[i : i + 1], self.before.images[i : i + 1]
        row: Row = {
            "row": "inversion",
            "image": i,
            "l2": round(float((a - b).square().mean()), 5),
            "psnr": round(psnr(b, a), 3),
            "ssim": round(float(ssim(a, b)[0]), 4),
        }
        if real.person is not None and self.before.person is not None:
            row["identity"] = round(float(real.person[i] @ self.before.person[i]), 4)
        return row


def _take(edit: Edit, at: Tensor) -> Edit:
    """The edit of some of its codes."""

    def some(x: Tensor) -> Tensor:
        return x if len(x) == 1 else x[at]

    w_shift = None if edit.w_shift is None else some(edit.w_shift)
    return Edit(w_shift, tuple(some(s) for s in edit.style_shift))


def _cost(about: Row, method: Method, once: float, found: float, drawn: float, images: int) -> Row:
    """Seconds: finding the edit belongs to the text, or to each image where it is a search."""
    per_text = once if method.searches else once + found
    per_image = drawn + (found / images if method.searches else 0.0)
    return {"row": "cost", "text": round(per_text, 4), "image": round(per_image, 4)} | about


def _image(pixels: Tensor, **about: object) -> Row:
    buffer = io.BytesIO()
    to_image(pixels).save(buffer, "WEBP", quality=QUALITY)
    return {"row": "image", "webp": base64.b64encode(buffer.getvalue()).decode()} | about
