"""``descant tune RECIPE [key=value …]``."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from descant.tune.results import Results
    from descant.tune.study import Study

HELP = "search a recipe's keys (weights, schedules, balancers, any) by many trials on Ray"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.usage = "descant tune RECIPE [--space FILE] [--from STUDY] [--json] [key=value ...]"
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help="a shipped recipe or a YAML file")
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="key=value",
        help="of the recipe, such as trainer.epochs=5, or of its part 'tune', such as tune.trials=30 "
        "tune.search=tpe|random|grid|multi tune.scheduler=none|asha|median|pbt|pb2 "
        "'tune.space.tasks.smile.weight={loguniform:[0.1,10]}'",
    )
    parser.add_argument("--space", type=Path, metavar="FILE", help="YAML of the recipe's part 'tune', or of its space")
    parser.add_argument(
        "--from", dest="earlier", type=Path, metavar="STUDY", help="the folder of an earlier study to learn from"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def main(args: argparse.Namespace) -> int:
    """Make a study, with progress, and print its trials from the best on."""
    from descant.cli.tune_display import TuneDisplay
    from descant.errors import UserError
    from descant.report.files import shown
    from descant.tune.make import make, open_study
    from descant.tune.planning import make_plan

    if args.recipe is None or "=" in args.recipe:
        raise UserError("tune needs a recipe first: one that 'descant recipes' lists, or the path of a YAML file")
    study = open_study(make_plan(args.recipe, args.overrides, args.space), args.earlier)
    out = sys.stderr if args.json else sys.stdout
    print(f"study folder: {shown(study.folder)}", file=out, flush=True)
    if not study.open_trials():
        print("this study is finished; for more trials raise tune.trials", file=out)
    with TuneDisplay(study, out) as display:
        found, report = make(study, display.event)
    if study.is_stopping():
        print(f"interrupted; checkpoints are written. To go on: {_command(args)}", file=sys.stderr)
        return 130
    return _show(args, study, found, report)


def _show(args: argparse.Namespace, study: Study, found: Results, report: Path) -> int:
    from descant.errors import RunError
    from descant.report.files import shown
    from descant.tune.sentences import CAUTION, failures
    from descant.tune.table import print_study

    if args.json:
        print(json.dumps(found.plain(), indent=1))
    elif found.best is not None:
        print_study(found)
        print(CAUTION)
        print(f"to train the best recipe: descant train {shown(study.folder / 'best.yaml')}")
        print(f"report and figures: {shown(report)}")
        print(f"TensorBoard: tensorboard --logdir {shown(study.folder)}")
    if found.best is None:
        raise RunError(f"no trial came to a result: {' '.join(failures(found))}")
    return 0


def _command(args: argparse.Namespace) -> str:
    words = ["descant", "tune", args.recipe, *args.overrides]
    words += ["--space", str(args.space)] if args.space else []
    words += ["--from", str(args.earlier)] if args.earlier else []
    return shlex.join(words)
