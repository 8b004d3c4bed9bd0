"""Commands that measure: ``evaluate``, ``figures`` and ``study``, as functions for ``cli``."""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmsa_core.errors import RequestError, quoted, shortened

if TYPE_CHECKING:
    from tmsa_core.evaluation.preference_study.votes import Votes
    from tmsa_core.evaluation.prompts import Prompt

RESULTS = Path("results")
Device = Annotated[str, typer.Option(help="cpu, cuda, mps, or auto: the best there is.")]


def evaluate(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="[BUNDLE]",
            help="Measure the networks of this bundle (avatar) in place of comparing methods.",
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="How many images every method edits.")] = 64,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON list of prompts [the paper's six].")
    ] = None,
    methods: Annotated[
        str,
        typer.Option(help="Methods, separated by commas, or all; a wrong name lists them."),
    ] = "all",
    domain: Annotated[str, typer.Option(help="Which world of images; `tmsa domains`.")] = "avatar",
    search_images: Annotated[
        int, typer.Option(min=1, help="How many, for methods that search for every image.")
    ] = 8,
    curve_images: Annotated[
        int, typer.Option(min=0, help="How many at six strengths, for the Pareto plot.")
    ] = 16,
    kept_images: Annotated[
        int, typer.Option(min=0, help="How many are kept as images, for figures and the study.")
    ] = 6,
    folder: Annotated[
        Path | None, typer.Option(help="Aligned crops to edit in place of drawn portraits.")
    ] = None,
    inversion: Annotated[str, typer.Option(help="e4e, or hfgi where the bundle has it.")] = "e4e",
    parts: Annotated[
        Path | None,
        typer.Option(help="Where methods keep what they prepare [runs/DOMAIN/baselines]."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="JSON lines to go on with [results/comparison.jsonl]."),
    ] = None,
    portraits: Annotated[
        int, typer.Option(min=16, help="How many portraits measure a BUNDLE.")
    ] = 2000,
    device: Device = "cpu",
) -> None:
    """Compare every method on the same images; the same command goes on after a stop."""
    if bundle is not None:
        _measure(bundle, portraits, output or RESULTS / "avatar.jsonl")
        return
    from tmsa_core.bundles import open_bundle
    from tmsa_core.devices import find_device
    from tmsa_core.domains import INVERSIONS, find_domain
    from tmsa_core.evaluation.comparison.run import Plan, compare

    if inversion not in INVERSIONS:
        raise RequestError(f"inversion is {quoted(inversion)}; use {' or '.join(INVERSIONS)}.")
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
    out = output or RESULTS / "comparison.jsonl"
    rows = compare(open_bundle(key), plan, out, parts or _parts(key), find_device(device))
    print(
        f"{out}: {sum(row['row'] == 'edit' for row in rows)} edits of {len(plan.methods)} methods"
    )


def prepare_baselines(
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON list of prompts [the paper's six].")
    ] = None,
    methods: Annotated[str, typer.Option(help="Methods, separated by commas, or all.")] = "all",
    domain: Annotated[str, typer.Option(help="Which world of images; `tmsa domains`.")] = "avatar",
    parts: Annotated[
        Path | None, typer.Option(help="Where the parts go [runs/DOMAIN/baselines].")
    ] = None,
    device: Device = "cpu",
) -> None:
    """Train and measure what the baselines need beforehand; `evaluate` does it too, when needed."""
    from tmsa_core.baselines import METHODS, Texts, open_networks
    from tmsa_core.bundles import open_bundle
    from tmsa_core.devices import find_device

    names = _methods(methods, domain)
    world = open_networks(open_bundle(domain), parts or _parts(domain), find_device(device))
    for name in names:
        method = METHODS[name]
        if method.prepare and (seconds := method.prepare(world)) is not None:
            print(f"{method.title}: {seconds:.1f} s, once")
        for prompt in _prompts(prompts) if method.prepare_text else ():
            seconds = method.prepare_text(world, Texts(prompt.neutral, prompt.target))
            print(f"{method.title}: {seconds:.1f} s for {quoted(prompt.target)}")


def figures(
    name: Annotated[
        str,
        typer.Argument(
            help="teaser, strength, six-prompts, samples, figure-5 to figure-12, pareto, gap, "
            "merit, or curve."
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
        typer.Option(help="What `tmsa evaluate` or `tmsa measure` wrote [results/...]."),
    ] = None,
    domain: Annotated[str, typer.Option(help="Of six-prompts.")] = "avatar",
    device: Device = "auto",
) -> None:
    """Draw a figure, from results or, as six-prompts and samples, from weights."""
    from tmsa_core.evaluation.alignment.figures import IMAGES, PLOTS, write_alignment_figure
    from tmsa_core.evaluation.comparison.figures import FIGURES, write_figure
    from tmsa_core.imaging.metadata import check_destination

    names = ("teaser", "strength", "six-prompts", "samples", *FIGURES, *IMAGES, *PLOTS)
    if name not in names:
        raise RequestError(f"There is no figure {quoted(name)}; use one of {', '.join(names)}.")
    output = output or Path(f"{name}.webp")
    check_destination(output)
    if name in ("teaser", "strength", "six-prompts"):
        _only_avatar(domain, "drawn")
        print(f"{output}: {_draw_edits(name, output, domain, device, portraits or 10)}")
        return
    if name == "samples":
        from tmsa_core.bundles import open_bundle
        from tmsa_core.evaluation.bundle.sharpness import samples_sheet

        samples_sheet(open_bundle("avatar"), portraits or 10).save(output)
        print(f"{output}: renders, what the generator draws of their codes, random portraits")
        return
    if name in IMAGES or name in PLOTS:
        from tmsa_core.bundles import open_bundle

        if name in PLOTS or name == "figure-8":
            _need("matplotlib", "Matplotlib", "The plot")
        if name == "figure-8":
            _need("sklearn", "scikit-learn", "The figure")
        bundle = open_bundle("avatar")
        write_alignment_figure(name, bundle, output, results or RESULTS / "alignment.jsonl")
        print(f"{output}: {name}")
        return
    _need("pandas", "pandas", "The figure")
    if name == "pareto":
        _need("matplotlib", "Matplotlib", "The plot")
    print(f"{output}: {write_figure(name, output, results, portraits or 4)}")


def study(
    results: Annotated[
        Path, typer.Option(help="JSON lines with the images that `tmsa evaluate` kept.")
    ] = RESULTS / "comparison.jsonl",
    votes: Annotated[Path, typer.Option(help="SQLite file of votes, made or gone on with.")] = Path(
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
    """Start the page of the blind preference study (Table 1), or print what it found."""
    from tmsa_core.evaluation.preference_study.votes import Votes

    if choices not in (2, 4):
        raise RequestError(f"choices is {quoted(choices)}; use 2 for pairs or 4 for fours.")
    if table or csv or shares:
        _print_votes(Votes(_existing(votes)), table, csv, shares)
        return
    from tmsa_core.evaluation.comparison.results import read_comparison
    from tmsa_core.evaluation.preference_study.items import make_items
    from tmsa_core.evaluation.preference_study.page import STYLE, Study, build_study

    items = make_items(read_comparison(results), choices)
    _check_port(host, port)
    print(f"{len(items)} items; votes go to {votes}; stop with Ctrl+C")
    page = build_study(Study(items, Votes(votes)))
    page.launch(
        server_name=host, server_port=port, css_paths=STYLE, footer_links=[], ssr_mode=False
    )


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
"""Each command with the examples that its help shows."""


def _measure(name: str, portraits: int, out: Path) -> None:
    _only_avatar(name, "measured")
    from tmsa_core.bundles import open_bundle
    from tmsa_core.evaluation.bundle.report import evaluate as evaluate_bundle

    for row in evaluate_bundle(open_bundle(name), portraits, out):
        print("  ".join(f"{key}={_short(value)}" for key, value in row.items()))


def _draw_edits(name: str, output: Path, domain: str, device: str, portraits: int) -> str:
    """Draws teaser, strength or six-prompts into a file; returns its caption."""
    from tmsa_core.editing.load import load_editor
    from tmsa_core.evaluation.bundle.teaser import six_prompts, strength_animation, teaser

    editor = load_editor(domain, device=device)
    output.parent.mkdir(parents=True, exist_ok=True)
    if name == "strength":
        output.write_bytes(strength_animation(editor))
        return "one edit at strengths from 0 to 1"
    if name == "teaser":
        teaser(editor).save(output, quality=90)
        return "six portraits before and after an edit"
    six_prompts(editor, portraits).save(output)
    return f"{portraits} portraits, before and after each prompt"


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise RequestError(
            f"There are no votes in {shortened(path)}: start the page with `tmsa study`."
        )
    return path


def _check_port(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise RequestError(
            f"The page cannot listen on {shortened(host)}, port {port}: end what listens there, or "
            "choose another with --port."
        ) from error


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


def _methods(names: str, domain: str, inversion: str = "e4e") -> tuple[str, ...]:
    """The methods of a list; all of those that can edit the domain's images for "all"."""
    from tmsa_core.baselines import METHODS, check_methods, obstacle

    if names == "all":
        chosen = tuple(name for name in METHODS if obstacle(name, domain, inversion) is None)
    else:
        chosen = check_methods(names.split(","))
    for name in chosen:
        if why := obstacle(name, domain, inversion):
            raise RequestError(why)
    if "clip2stylegan" in chosen:
        _need("sklearn", "scikit-learn", "CLIP2StyleGAN")
    return chosen


def _prompts(path: Path | None) -> tuple[Prompt, ...]:
    from tmsa_core.evaluation.prompt_file import read_prompts
    from tmsa_core.evaluation.prompts import SIX

    return read_prompts(path) if path else SIX


def _need(module: str, package: str, what: str) -> None:
    if find_spec(module) is None:
        raise RequestError(f"{what} needs {package}: `pip install 'tmsa[eval]'` installs it.")


def _parts(domain: str) -> Path:
    return Path("runs") / domain / "baselines"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _only_avatar(domain: str, done: str) -> None:
    from tmsa_core.domains import find_domain

    if not find_domain(domain).has_truth:
        raise RequestError(f"Only the domain 'avatar' can be {done} so far, not {quoted(domain)}.")
