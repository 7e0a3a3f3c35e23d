"""``descant predict RUN FILES…``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HELP = "labels for new files, by a run's best checkpoint"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", metavar="RUN", help="a run's folder, such as runs/demo")
    parser.add_argument("files", nargs="+", metavar="FILE", help="audio, images or arrays, as the run was trained on")
    parser.add_argument("--tasks", metavar="NAMES", help="'all', or names with commas; the main task by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def main(args: argparse.Namespace) -> int:
    """Predict each file; one that cannot be read is named, and the others go on."""
    from descant.errors import UserError
    from descant.run.trained import chosen_tasks, load

    trained = load(args.run)
    tasks = chosen_tasks(trained, args.tasks)
    inputs = list(trained.experiment.inputs)
    if len(inputs) != 1:
        raise UserError(f"predict takes files of one input, but the run has {inputs}")
    failed = 0
    for file in args.files:
        try:
            answers = trained.predict({inputs[0]: Path(file).read_bytes()}, tasks)
        except (OSError, ValueError) as error:
            failed += 1
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            print(f"descant: {file} cannot be read: {reason}", file=sys.stderr)
            continue
        if args.json:
            print(json.dumps({"file": file, "tasks": answers}))
        else:
            print(f"{file}: " + "; ".join(f"{task} {_short(answer)}" for task, answer in answers.items()))
    return 1 if failed else 0


def _short(answer: dict[str, object]) -> str:
    if "class" in answer:
        return f"{answer['class']} ({answer['probability']:.1%})"
    value = answer.get("value")
    if isinstance(value, list) and value and isinstance(value[0], list):
        return f"{len(value)} x {len(value[0])} values (--json gives them)"
    return json.dumps(answer)
