"""``descant export RUN OUT``."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

HELP = "a run's best checkpoint as a program that needs no Descant"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", metavar="RUN", help="a run's folder, such as runs/demo")
    parser.add_argument("out", metavar="OUT", help="the file: NAME.pt2 for torch.export, NAME.onnx for ONNX")
    parser.add_argument("--tasks", metavar="NAMES", help="'all', or names with commas; the main task by default")
    parser.add_argument(
        "--takes",
        choices=("raw", "trunk"),
        default="raw",
        help="raw: what is nearest to a file, as pixels or a waveform (default); trunk: what the network itself takes",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")


def main(args: argparse.Namespace) -> int:
    """Write the program and print what it takes and gives.

    Raises:
        UserError: the run, a task or the file cannot be used.
    """
    from descant.export import check_target, export
    from descant.trained import chosen_tasks, load

    out = Path(args.out)
    check_target(out, args.overwrite)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch says of its own methods is nothing that a user can mend
        trained = load(args.run)
    tasks = chosen_tasks(trained, args.tasks)
    own = [name for name in tasks if trained.experiment.tasks[name].own_view]
    if args.tasks == "all" and own:
        tasks = [name for name in tasks if name not in own]
        print(f"left out, since they see inputs in a way of their own: {', '.join(own)}")
    done = export(trained, out, tasks, args.takes, args.overwrite)
    print(f"{out}: {done.numbers:,} numbers, {done.size:,} bytes, from step {done.about['step']}")
    print("\n".join([*_lines("takes", done.about["inputs"]), *_lines("gives", done.about["outputs"])]))
    return 0


def _lines(verb: str, ports: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"  {verb} {name}: {port['dtype']} ({', '.join(map(str, port['shape']))}), {port.get('is') or port['kind']}"
        for name, port in ports.items()
    ]
