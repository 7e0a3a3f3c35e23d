"""``descant compare``: paired runs of a recipe per arm, or runs that are there already, with verdicts."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from descant.compare.arms import PlannedRun
    from descant.compare.results import Comparison
    from descant.compare.scheduler import Outcome, Scheduler
    from descant.compare.study import Study

HELP = "compare arms of a recipe by paired runs, or runs that are there already"
SEEDS = 5
OVERRIDE = re.compile(r"[+~]{0,2}[A-Za-z_][\w.@/-]*=")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments; key=value words may stand anywhere (parse with ``parse_intermixed_args``)."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="RECIPE_OR_RUNS",
        help="with --arms a recipe, else folders of finished runs or of a comparison; key=value overrides of every run",
    )
    parser.add_argument(
        "--arms",
        action="append",
        default=[],
        metavar="KEY=V1,V2",
        help="the values to compare, the first is the baseline; several --arms make every combination; "
        "recipe=A,B compares recipes",
    )
    parser.add_argument("--seeds", type=int, metavar="N", help=f"seeds 0 to N-1 of each arm (default: {SEEDS})")
    parser.add_argument("--name", help="the comparison's name (default: compare-RECIPE)")
    parser.add_argument("--dir", default="runs", help="folder of the comparison's folder (default: %(default)s)")
    parser.add_argument("--jobs", type=int, metavar="N", help="runs side by side (default: one per core)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def main(args: argparse.Namespace, command: Sequence[str] | None = None) -> int:
    """Compare and return the exit code; ``command`` replaces ``descant train`` as what makes a run.

    Raises:
        UserError: arguments that cannot work. RunError: runs that failed. Interrupted: by the user.
    """
    from descant.errors import UserError

    overrides = [word for word in args.words if OVERRIDE.match(word) and not Path(word).exists()]
    names = [word for word in args.words if word not in overrides]
    if args.jobs is not None and args.jobs < 1:
        raise UserError(f"--jobs {args.jobs} is too few: give 1 or more, or leave it out for one run per core")
    if not args.arms:
        if not names:
            raise UserError("there is nothing to compare: give a recipe with --arms KEY=V1,V2, or folders of runs")
        _refuse_new_runs(args, overrides)
        return _compare_given(args, names)
    if len(names) > 1:
        raise UserError(
            f"--arms takes one recipe, given: {', '.join(names)}; give --arms recipe={','.join(names)} to compare "
            f"recipes, or leave --arms out to compare runs that are there"
        )
    return _run_study(args, names[0] if names else None, overrides, command)


def _refuse_new_runs(args: argparse.Namespace, overrides: list[str]) -> None:
    """Refuse what only new runs can take: without arms there are none."""
    from descant.errors import UserError

    options = {"--seeds": args.seeds, "--jobs": args.jobs}
    given = [*overrides[:1], *(f"{option} {value}" for option, value in options.items() if value is not None)]
    if given:
        raise UserError(
            f"{given[0]!r} is for new runs, but there is nothing to run: add --arms KEY=V1,V2, "
            f"or leave it out to compare runs that are there"
        )


def _run_study(
    args: argparse.Namespace, recipe: str | None, overrides: list[str], command: Sequence[str] | None
) -> int:
    from descant.compare.arms import parse_arms, plan
    from descant.compare.compare import compare_runs
    from descant.compare.scheduler import TRAIN, Scheduler, share_cores
    from descant.errors import RunError, UserError

    arms = parse_arms(args.arms)
    recipe = recipe or arms[0].recipe
    if recipe is None:
        raise UserError("there is no recipe to run: name it, or several by --arms recipe=NAME,NAME")
    runs = plan(arms, SEEDS if args.seeds is None else args.seeds, overrides, recipe)
    study = _study(args, recipe, runs, checks=command is None)
    waiting = study.open()
    sets_loaders = all(basis.loader_workers is None for basis in study.bases.values())
    scheduler = Scheduler(study.folder, share_cores(len(runs), args.jobs), command or TRAIN, sets_loaders)
    outcomes = _run_all(scheduler, waiting, len(runs))
    failed = {study.folder / outcome.run.name: outcome for outcome in outcomes if outcome.status == "failed"}
    if len(failed) < len(runs):
        failures = {path: outcome.message for path, outcome in failed.items()}
        _show(args, compare_runs(study.arms, recipe, failures), study.folder)
    if failed:
        raise RunError(_failure_sentence(list(failed.values()), len(runs), study.folder))
    return 0


def _study(args: argparse.Namespace, recipe: str, runs: Sequence[PlannedRun], checks: bool) -> Study:
    """Return the study; its arms are checked unless another command than ``descant train`` makes the runs."""
    from descant.compare.check import check_arms
    from descant.compare.study import Study

    folder = Path(args.dir).absolute() / (args.name or f"compare-{Path(recipe).stem}")
    return Study(folder, tuple(runs), check_arms(runs) if checks else {})


def _run_all(scheduler: Scheduler, waiting: Sequence[PlannedRun], total: int) -> list[Outcome]:
    from descant.compare.progress import reporting
    from descant.errors import Interrupted

    with reporting(total - len(waiting), total, scheduler) as report:
        try:
            return scheduler.run(waiting, report)
        except KeyboardInterrupt as interrupt:
            raise Interrupted("the comparison was stopped: the same command goes on where it was") from interrupt


def _compare_given(args: argparse.Namespace, names: list[str]) -> int:
    from descant.compare.compare import compare_runs
    from descant.compare.group import group_runs
    from descant.compare.study import STUDY, expanded, planned
    from descant.errors import UserError

    folders = [path if (path := Path(name)).is_dir() else Path(args.dir) / name for name in names]
    for name, folder in zip(names, folders, strict=True):
        if not folder.is_dir():
            raise UserError(f"{name!r} is no run folder: give folders of finished runs, or a recipe with --arms")
    if len(folders) == 1 and (folders[0] / STUDY).is_file() and not args.name:
        _show(args, compare_runs(planned(folders[0])), folders[0])
        return 0
    between = "-and-".join(folder.resolve().name for folder in folders[:3])
    target = Path(args.dir) / (args.name or f"compare-runs-{between}")
    if (target / STUDY).is_file():
        raise UserError(f"{str(target)!r} holds another comparison: give a new --name")
    _show(args, compare_runs(group_runs(expanded(folders))), target)
    return 0


def _show(args: argparse.Namespace, comparison: Comparison, folder: Path) -> None:
    """Write the comparison's files and print it."""
    from descant.compare.table import print_comparison, stdout
    from descant.compare.write import write_comparison
    from descant.report.files import shown

    report = write_comparison(comparison, folder)
    if args.json:
        print(json.dumps(comparison.to_json(), indent=1))
        return
    console = stdout()
    print_comparison(comparison, console)
    console.print(f"report: {shown(report)}", markup=False, soft_wrap=True)


def _failure_sentence(failed: Sequence[Outcome], total: int, folder: Path) -> str:
    from descant.report.files import shown

    told = "; ".join(f"{outcome.run.name}: {outcome.message}" for outcome in failed)
    logs = shown(folder / "logs")
    return f"{len(failed)} of {total} runs failed ({told}): see {logs}; the same command tries them again"
