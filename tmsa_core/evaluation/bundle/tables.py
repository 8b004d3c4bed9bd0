"""Tables of the bundle's report in Markdown, from its rows alone."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tmsa_core.evaluation.json_lines import Row
from tmsa_core.evaluation.markdown import table

EDITS = ("shows it", "other attributes kept", "identity", "CLIP accuracy")


def bundle_tables(rows: Sequence[Row]) -> dict[str, str]:
    """Returns all tables of the run that was added last, by the names of their markers."""
    last = {name: rows[-1].get(name) for name in ("weights", "of")}
    own = [row for row in rows if last == {name: row.get(name) for name in last}]
    frame = pd.DataFrame(own)
    reports = {str(name): group for name, group in frame.groupby("report")}
    tables = {
        "edits": _edits_table(reports["edit"]),
        "zero-shot": _zero_shot_table(reports["zero_shot"].iloc[-1].dropna()),
        "quality": _quality_table(
            {name: group.iloc[-1].dropna().to_dict() for name, group in reports.items()}
        ),
    }
    if "reconstruction" in reports:
        edited = _means(reports["edit_by_inversion"])
        tables["inversions"] = _inversions_table(reports["reconstruction"], edited)
        tables["whole-image"] = _whole_image_table(_means(reports["edit_put_back"]))
    return tables


def _means(edits: pd.DataFrame) -> pd.DataFrame:
    """Averages the edits of each inversion over the prompts."""
    return edits.groupby("inversion")[["success", "kept", "identity"]].mean()


def _edits_table(edits: pd.DataFrame) -> str:
    body = [
        (r.prompt, _percent(r.success), _percent(r.kept), f"{r.identity:.2f}", _percent(r.clip))
        for r in edits.itertuples()
    ]
    return table(("text edit, alpha = 1", *EDITS), body)


def _zero_shot_table(answers: pd.Series) -> str:
    shares = answers.drop(["report", "portraits", "weights", "of"], errors="ignore")
    body = [(str(name), _percent(share)) for name, share in shares.items()]
    return table(("question", "answered correctly"), body)


def _inversions_table(rows: pd.DataFrame, edited: pd.DataFrame) -> str:
    head = ("inversion", "perceptual distance", "mean pixel difference", "PSNR", "SSIM", "identity")
    body = [
        (
            r.inversion,
            f"{r.perceptual:.3f}",
            f"{50 * r.pixels:.1f} %",  # of the range of pixels, which is 2
            f"{r.psnr:.1f} dB",
            f"{r.ssim:.3f}",
            f"{r.identity:.2f}",
            _percent(edited["success"][r.inversion]),
            _percent(edited["kept"][r.inversion]),
        )
        for r in rows.itertuples()
    ]
    return table((*head, "edits: shows it", "edits: other attributes kept"), body)


def _whole_image_table(edits: pd.DataFrame) -> str:
    body = [
        (str(r.Index), _percent(r.success), _percent(r.kept), f"{r.identity:.2f}")
        for r in edits.itertuples()
    ]
    return table(("inversion", *EDITS[:3]), body)


def _quality_table(reports: dict[str, Row]) -> str:
    """Returns the remaining figures of the generator, the inversion and the classifier."""
    inversion, samples, sharp = (reports[name] for name in ("inversion", "samples", "crispness"))
    body = [
        ("classifier: attributes of renders read correctly", _percent(inversion["judge_mean"])),
        ("e4e: attributes of its inversions read correctly", _percent(inversion["e4e_mean"])),
        ("e4e: PSNR", f"{inversion['psnr']:.1f} dB"),
        ("e4e: identity", f"{inversion['identity']:.2f}"),
        ("samples: Frechet distance to renders", f"{samples['frechet_samples']:.1f}"),
        ("renders: Frechet distance to other renders", f"{samples['frechet_renders']:.1f}"),
        ("generator from true codes: PSNR", f"{sharp['psnr']:.1f} dB"),
        ("generator from true codes: correlation of fine detail", f"{sharp['correlation']:.2f}"),
        ("generator from true codes: strength of fine detail", _percent(sharp["strength"])),
    ]
    for name, share in sharp.items():
        if name.startswith("part_"):
            body.append((f"fine detail drawn: {name.removeprefix('part_')}", _percent(share)))
    return table(("measure", "value"), body)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
