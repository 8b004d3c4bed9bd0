"""Commands that train: ``train``, ``publish`` and ``measure``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmsa_core.errors import RequestError, quoted

if TYPE_CHECKING:
    from tmsa_core.training.run import Options


def train(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(help="The domain to train: avatar, ffhq, car, church.")],
    stage: Annotated[
        str | None,
        typer.Argument(
            help="Only for avatar, whose networks are all trained here: generator, clip, mapper "
            "..., or all. Without it the domain's mapping network is trained."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The mapping network in closed form, in minutes.")
    ] = False,
    preset: Annotated[
        str, typer.Option(help="fast: our schedule; paper: the published one.")
    ] = "fast",
    images: Annotated[
        Path | None, typer.Option(help="Folder of real images, as aligned crops of the domain.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Iterations, if not as many as the preset's.")
    ] = None,
    pairs: Annotated[
        int | None, typer.Option(min=1, help="With --quick: number of generated images.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after this time; the same command resumes.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of all random numbers.")] = 0,
    work: Annotated[
        Path | None, typer.Option(help="Folder of states, logs, sample grids [runs/DOMAIN].")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: the best there is.")] = "auto",
    restart: Annotated[bool, typer.Option("--restart", help="Ignore the saved state.")] = False,
) -> None:
    """Train the mapping network of a domain, or one stage of the avatar bundle, into its bundle.

    Several GPUs: `accelerate launch --num_processes 4 -m tmsa_core train DOMAIN`. Several CPU
    processes: `torchrun --nproc_per_node 2 -m tmsa_core train DOMAIN --device cpu`.
    """
    from tmsa_core.domains import find_domain

    find_domain(domain)
    if quick:
        unused = ("stage", "preset", "images", "steps", "minutes", "work", "restart")
        _refuse(context, unused, "--quick")
        _train_quick(domain, pairs, device, seed)
        return
    _refuse(context, ("pairs",), "a training without --quick")
    options = _options(domain, work, minutes, seed, device, restart)
    if stage is None:
        _train_mapper(domain, options, preset, images, steps)
        return
    if find_domain(domain).has_truth:
        _refuse(context, ("preset", "images", "steps"), f"the stage {quoted(stage)}")
    _train_stage(domain, stage, options)


def _refuse(context: typer.Context, names: tuple[str, ...], what: str) -> None:
    """Raise RequestError if the command line gives parameters that ``what`` would ignore."""
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [
        quoted(context.params[name]) if name == "stage" else f"--{name}"
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    ]
    if given:
        raise RequestError(
            f"{' and '.join(given)} would have no effect on {what}: leave out one or the other."
        )


def _options(
    domain: str, work: Path | None, minutes: float | None, seed: int, device: str, restart: bool
) -> Options:
    from tmsa_core.bundles import checkpoints_folder
    from tmsa_core.devices import find_device
    from tmsa_core.training.run import Options

    return Options(
        work=work or Path("runs") / domain,
        out=checkpoints_folder() / domain,
        minutes=minutes,
        seed=seed,
        device=find_device(device, mps=False),
        restart=restart,
    )


def _train_mapper(
    domain: str, options: Options, preset: str, images: Path | None, steps: int | None
) -> None:
    from tmsa_core.training.train_domain import train_domain

    made = train_domain(domain, options, preset, images, steps)
    if made:
        evaluations = made["evaluations"]
        print(f"{domain}: mapper after {made['steps']} steps, {evaluations} images generated")


def _train_stage(domain: str, stage: str, options: Options) -> None:
    from tmsa_core.domains import find_domain
    from tmsa_core.training.avatar import stages

    if not find_domain(domain).has_truth:
        raise RequestError(
            f"Only avatar is trained stage by stage; leave {quoted(stage)} out to train the "
            f"mapping network of {quoted(domain)}."
        )
    stages.train(stage, options)


def _train_quick(domain: str, pairs: int | None, device: str, seed: int) -> None:
    from tqdm import tqdm

    from tmsa_core.training.mapper.quick import PAIRS, quick_align

    style = "{desc}: {percentage:3.0f}% [{elapsed}<{remaining}]"
    with tqdm(total=100, bar_format=style, delay=1) as bar:

        def show(done: int, total: int, message: str) -> None:
            bar.set_description_str(message, refresh=False)
            bar.update(done - bar.n)

        report = quick_align(
            domain,
            pairs=PAIRS if pairs is None else pairs,
            device=device,
            seed=seed,
            progress=show,
            replace=True,  # the user asked for it by this command
        )
    print(
        f"{report.path}: {report.pairs} pairs, {report.evaluations} generator evaluations, "
        f"{report.seconds:.0f} s"
    )


def publish(
    domain: Annotated[str, typer.Argument(help="Whose mapping network: avatar, ffhq, ...")],
    repository: Annotated[str, typer.Argument(metavar="USER/NAME", help="Where on the Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Visible to you alone.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Write the files into this folder and upload nothing.")
    ] = None,
) -> None:
    """Publish a domain's mapping network on the Hugging Face Hub, with a model card."""
    from tmsa_core.bundles import open_bundle
    from tmsa_core.domains import find_domain
    from tmsa_core.training.mapper.publish import publish_mapper, write_publication

    bundle = open_bundle(find_domain(domain).key)
    if folder is None:
        print(publish_mapper(bundle, repository, private))
        return
    for path in write_publication(bundle, folder, repository):
        print(path)


def measure(
    name: Annotated[str, typer.Argument(help="gap, merit, losses, or curve.")],
    portraits: Annotated[int, typer.Option(min=2, help="Number of edited portraits.")] = 500,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Of curve: most generator evaluations.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder of trained variants and banks.")] = Path(
        "runs/avatar"
    ),
    output: Annotated[
        Path, typer.Option("--output", "-o", help="JSON lines; existing rows are kept.")
    ] = Path("results/alignment.jsonl"),
) -> None:
    """Measure the alignment against the avatars' ground truth; the same command resumes."""
    from tmsa_core.bundles import open_bundle
    from tmsa_core.evaluation.alignment.studies import run_study

    rows = run_study(name, open_bundle("avatar"), portraits, output, work, limit)
    print(f"{output}: {len(rows)} rows of the study {name}")


COMMANDS: dict[Callable[..., Any], tuple[str, ...]] = {
    train: (
        "train ffhq --images aligned-crops/ --device cuda",
        "train church --quick",
        "train avatar generator --minutes 60",
    ),
    publish: ("publish ffhq somebody/tmsa-ffhq", "publish avatar me/tmsa --folder out"),
    measure: ("measure gap --portraits 100", "measure curve --limit 300000"),
}
