"""Commands that measure: ``evaluate``, ``prepare-baselines``, ``figures`` and ``study``."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmsa_core.cli.common import Device
from tmsa_core.errors import RequestError, quoted, shortened

if TYPE_CHECKING:
    from tmsa_core.evaluation.comparison.run import Plan
    from tmsa_core.evaluation.preference_study.votes import Votes
    from tmsa_core.evaluation.prompts import Prompt

RESULTS = Path("results")
COMPARISON = RESULTS / "comparison.jsonl"

Domain = Annotated[str, typer.Option(help="The domain; see `tmsa domains`.")]
Parts = Annotated[
    Path | None,
    typer.Option(help="Folder of what methods prepare [runs/DOMAIN/baselines]."),
]
Prompts = Annotated[
    Path | None, typer.Option(metavar="FILE", help="JSON list of prompts [the paper's six].")
]
Methods = Annotated[
    str, typer.Option(help="Methods, separated by commas, or all; a wrong name lists them.")
]


def evaluate(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="[BUNDLE]",
            help="Measure the networks of this bundle (avatar) instead of comparing methods.",
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Number of images for each method.")] = 64,
    prompts: Prompts = None,
    methods: Methods = "all",
    domain: Domain = "avatar",
    search_images: Annotated[
        int, typer.Option(min=1, help="Images for methods that search for every image.")
    ] = 8,
    curve_images: Annotated[
        int, typer.Option(min=0, help="Images at six strengths, for the Pareto plot.")
    ] = 16,
    kept_images: Annotated[
        int, typer.Option(min=0, help="Images saved in the results, for figures and the study.")
    ] = 6,
    folder: Annotated[
        Path | None, typer.Option(help="Aligned crops to edit instead of drawn portraits.")
    ] = None,
    inversion: Annotated[str, typer.Option(help="e4e, hfgi or sfe, if in the bundle.")] = "e4e",
    parts: Parts = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="JSON lines to continue [results/comparison.jsonl]."),
    ] = None,
    portraits: Annotated[
        int, typer.Option(min=16, help="Number of portraits that measure a BUNDLE.")
    ] = 2000,
    device: Device = "cpu",
) -> None:
    """Compare every method on the same images; run the command again to resume it."""
    if bundle is not None:
        _evaluate_bundle(bundle, portraits, output or RESULTS / "avatar.jsonl")
        return
    from tmsa_core.domains import INVERSIONS, find_domain
    from tmsa_core.evaluation.comparison.run import Plan

    if inversion not in INVERSIONS:
        raise RequestError(f"inversion is {quoted(inversion)}; use one of {', '.join(INVERSIONS)}.")
    key = find_domain(domain).key
    plan = Plan(
        _methods(methods, key, inversion),
        _prompts(prompts),
        images=images,
        searched=search_images,
        curve=curve_images,
        kept=kept_images,
        folder=folder,
        inversion=inversion,
    )
    _compare(key, plan, output or COMPARISON, parts or _parts(key), device)


def _evaluate_bundle(name: str, portraits: int, output: Path) -> None:
    _require_avatar(name, "measured")
    from tmsa_core.bundles import open_bundle
    from tmsa_core.evaluation.bundle import report

    rows = report.evaluate(open_bundle(name), portraits, output)
    for row in rows:
        values = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
        print("  ".join(f"{key}={value}" for key, value in values.items()))


def _compare(domain: str, plan: Plan, output: Path, parts: Path, device: str) -> None:
    from tmsa_core.bundles import open_bundle
    from tmsa_core.devices import find_device
    from tmsa_core.evaluation.comparison.run import compare

    rows = compare(open_bundle(domain), plan, output, parts, find_device(device))
    edits = sum(row["row"] == "edit" for row in rows)
    print(f"{output}: {edits} edits of {len(plan.methods)} methods")


def prepare_baselines(
    prompts: Prompts = None,
    methods: Methods = "all",
    domain: Domain = "avatar",
    parts: Parts = None,
    device: Device = "cpu",
) -> None:
    """Train and measure what the baselines need; `evaluate` also does it when needed."""
    from tmsa_core.baselines import METHODS, Texts, open_networks
    from tmsa_core.bundles import open_bundle
    from tmsa_core.devices import find_device

    names = _methods(methods, domain)
    networks = open_networks(open_bundle(domain), parts or _parts(domain), find_device(device))
    for name in names:
        method = METHODS[name]
        if method.prepare and (seconds := method.prepare(networks)) is not None:
            print(f"{method.title}: {seconds:.1f} s, once")
        if method.prepare_text is None:
            continue
        for prompt in _prompts(prompts):
            seconds = method.prepare_text(networks, Texts(prompt.neutral, prompt.target))
            print(f"{method.title}: {seconds:.1f} s for {quoted(prompt.target)}")


@dataclass(frozen=True)
class FigureOptions:
    """The options of ``tmsa figures``."""

    name: str
    output: Path
    portraits: int | None
    results: Path | None
    domain: str
    device: str


def _edit_figure(options: FigureOptions) -> str:
    from tmsa_core.editing.load import load_editor
    from tmsa_core.evaluation.bundle.teaser import six_prompts, strength_animation, teaser

    _require_avatar(options.domain, "drawn")
    editor, output = load_editor(options.domain, device=options.device), options.output
    output.parent.mkdir(parents=True, exist_ok=True)
    if options.name == "strength":
        output.write_bytes(strength_animation(editor))
        return "one edit at strengths from 0 to 1"
    if options.name == "teaser":
        teaser(editor).save(output, quality=90)
        return "six portraits before and after an edit"
    count = options.portraits or 10
    six_prompts(editor, count).save(output)
    return f"{count} portraits, before and after each prompt"


def _samples(options: FigureOptions) -> str:
    from tmsa_core.bundles import open_bundle
    from tmsa_core.evaluation.bundle.sharpness import samples_sheet

    samples_sheet(open_bundle("avatar"), options.portraits or 10).save(options.output)
    return "renders, their reconstructions by the generator, random portraits"


def _comparison_figure(options: FigureOptions) -> str:
    from tmsa_core.evaluation.comparison.figures import write_figure

    return write_figure(options.name, options.output, options.results, options.portraits or 4)


def _alignment_figure(options: FigureOptions) -> str:
    from tmsa_core.bundles import open_bundle
    from tmsa_core.evaluation.alignment.figures import write_alignment_figure

    results = options.results or RESULTS / "alignment.jsonl"
    write_alignment_figure(options.name, open_bundle("avatar"), options.output, results)
    return options.name


# Name -> function that writes the figure and returns its caption.
FIGURES: dict[str, Callable[[FigureOptions], str]] = {
    **dict.fromkeys(("teaser", "strength", "six-prompts"), _edit_figure),
    "samples": _samples,
    **dict.fromkeys(("figure-5", "figure-6", "figure-10", "pareto"), _comparison_figure),
    **dict.fromkeys(("figure-7", "figure-8", "figure-9"), _alignment_figure),
    **dict.fromkeys(("figure-11", "figure-12", "gap", "merit", "curve"), _alignment_figure),
}
PLOTS = ("pareto", "figure-8", "gap", "merit", "curve")  # these need Matplotlib


def figures(
    name: Annotated[
        str,
        typer.Argument(
            help="six-prompts, samples, figure-5 to figure-12, pareto, gap, merit, or curve."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="A .png or .webp file [NAME.webp]."),
    ] = None,
    portraits: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Of figures 5, 6, 10 [4], six-prompts and samples [10]."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="The file of `tmsa evaluate` or `tmsa measure` [results/...]."),
    ] = None,
    domain: Annotated[str, typer.Option(help="Of six-prompts.")] = "avatar",
    device: Device = "auto",
) -> None:
    """Draw a figure from results or, as six-prompts, samples and figure-7, from weights."""
    from tmsa_core.imaging.metadata import check_destination

    if name not in FIGURES:
        raise RequestError(f"There is no figure {quoted(name)}; use one of {', '.join(FIGURES)}.")
    output = output or Path(f"{name}.webp")
    check_destination(output)
    if name in PLOTS:
        _require_package("matplotlib", "Matplotlib", "The plot")
    if name == "figure-8":
        _require_package("sklearn", "scikit-learn", "The figure")
    options = FigureOptions(name, output, portraits, results, domain, device)
    print(f"{output}: {FIGURES[name](options)}")


def study(
    results: Annotated[
        Path, typer.Option(help="JSON lines with the images that `tmsa evaluate` saved.")
    ] = COMPARISON,
    votes: Annotated[Path, typer.Option(help="SQLite file of votes, new or existing.")] = Path(
        "runs/study.sqlite"
    ),
    choices: Annotated[int, typer.Option(help="4: Table 1's methods at once; 2: pairs.")] = 4,
    table: Annotated[
        bool, typer.Option("--table", help="Print the results so far and stop.")
    ] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write the votes as CSV and stop.")
    ] = None,
    shares: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write the results and intervals as CSV and stop."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 7861,
) -> None:
    """Start the page of the blind preference study (Table 1), or print its results."""
    from tmsa_core.evaluation.preference_study.votes import Votes

    if choices not in (2, 4):
        raise RequestError(f"choices is {quoted(choices)}; use 2 for pairs or 4 for fours.")
    if not (table or csv or shares):
        _serve_study(results, votes, choices, host, port)
        return
    if not votes.is_file():
        raise RequestError(
            f"There are no votes in {shortened(votes)}: start the page with `tmsa study`."
        )
    _print_votes(Votes(votes), table, csv, shares)


def _serve_study(results: Path, votes: Path, choices: int, host: str, port: int) -> None:
    from tmsa_core.evaluation.comparison.results import read_comparison
    from tmsa_core.evaluation.preference_study.items import make_items
    from tmsa_core.evaluation.preference_study.page import STYLE, Study, build_study
    from tmsa_core.evaluation.preference_study.votes import Votes

    items = make_items(read_comparison(results), choices)
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise RequestError(
            f"The page cannot listen on {shortened(host)}, port {port}: stop the program that "
            "listens there, or choose another port with --port."
        ) from error
    print(f"{len(items)} items; votes go to {votes}; stop with Ctrl+C")
    page = build_study(Study(items, Votes(votes)))
    page.launch(
        server_name=host, server_port=port, css_paths=STYLE, footer_links=[], ssr_mode=False
    )


def _print_votes(votes: Votes, table: bool, csv: Path | None, shares: Path | None) -> None:
    from tmsa_core.evaluation.preference_study.results import preference_table, shares_csv
    from tmsa_core.files import write_whole

    if csv:
        write_whole(csv, votes.csv().encode())
        print(f"{csv}: {len(votes.all())} votes")
    if shares:
        write_whole(shares, shares_csv(votes.all()).encode())
        print(f"{shares}: the results of {len(votes.all())} votes")
    if table:
        print(preference_table(votes.all()))


COMMANDS: dict[Callable[..., Any], tuple[str, ...]] = {
    evaluate: (
        "evaluate --images 64 --methods tmsa,styleclip_global",
        "evaluate --images 32 --prompts prompts.json -o results/mine.jsonl",
        "evaluate avatar --portraits 200 -o quick.jsonl",
    ),
    prepare_baselines: ("prepare-baselines", "prepare-baselines --methods styleclip_global"),
    study: (
        "study",
        "study --choices 2 --port 8000",
        "study --table",
        "study --csv votes.csv",
        "study --shares results.csv",
    ),
    figures: ("figures figure-7", "figures pareto -o docs/pareto.png"),
}


def _methods(names: str, domain: str, inversion: str = "e4e") -> tuple[str, ...]:
    """The methods of a comma-separated list; "all" gives those that can edit the domain."""
    from tmsa_core.baselines import METHODS, check_methods, obstacle

    if names == "all":
        chosen = tuple(name for name in METHODS if obstacle(name, domain, inversion) is None)
    else:
        chosen = check_methods(names.split(","))
    for name in chosen:
        if reason := obstacle(name, domain, inversion):
            raise RequestError(reason)
    if "clip2stylegan" in chosen:
        _require_package("sklearn", "scikit-learn", "CLIP2StyleGAN")
    return chosen


def _prompts(path: Path | None) -> tuple[Prompt, ...]:
    from tmsa_core.evaluation.prompt_file import read_prompts
    from tmsa_core.evaluation.prompts import SIX

    return read_prompts(path) if path else SIX


def _parts(domain: str) -> Path:
    return Path("runs") / domain / "baselines"


def _require_package(module: str, package: str, what: str) -> None:
    if find_spec(module) is None:
        raise RequestError(f"{what} needs {package}: `pip install 'tmsa[eval]'` installs it.")


def _require_avatar(domain: str, done: str) -> None:
    from tmsa_core.domains import find_domain

    if not find_domain(domain).has_truth:
        raise RequestError(f"Only the domain 'avatar' can be {done} so far, not {quoted(domain)}.")
