"""``descant train RECIPE [key=value …]``."""

from __future__ import annotations

import argparse
import shlex
import sys

HELP = "train a recipe, on Ray or (run=inline) in this process"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.usage = "descant train RECIPE [key=value ...]"
    parser.add_argument(
        "recipe", nargs="?", metavar="RECIPE", help="a shipped recipe (see 'descant recipes') or a YAML file"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="key=value",
        help="such as trainer.epochs=3 run.workers=2 tasks.smile.weight=0.1",
    )


def main(args: argparse.Namespace, again: str | None = None) -> int:
    """Train, with progress, and print a table of what came of it; ``again`` is what goes on with an interrupted run."""
    from descant.cli.display import Display, print_result
    from descant.errors import UserError
    from descant.launch.prepare import prepare
    from descant.report.files import shown

    if args.recipe is None or "=" in args.recipe:
        raise UserError("train needs a recipe first: one that 'descant recipes' lists, or the path of a YAML file")
    launch = prepare(args.recipe, args.overrides)
    print(f"run folder: {shown(launch.folder.path)}", flush=True)
    if launch.is_finished:
        print("this run is finished; to train again give a new run.name, or resume=true with more epochs")
    with Display(launch.recipe.main, launch.folder.stopped()) as display:
        run = launch.run(display.row)
    if run.status == "interrupted":
        command = again or shlex.join(["descant", "train", args.recipe, *args.overrides])
        print(f"interrupted; the checkpoint is written. To go on: {command}", file=sys.stderr)
        return 130
    print_result(run)
    return 0
