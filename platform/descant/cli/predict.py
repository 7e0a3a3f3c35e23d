"""``descant predict RUN FILES…``."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descant.trained import Trained

HELP = "labels for new files, by a run's best checkpoint"
_BEST = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", metavar="RUN", help="a run's folder, such as runs/demo")
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="audio, images or arrays, as the run was trained on; or folders of them, searched to the bottom",
    )
    parser.add_argument("--tasks", metavar="NAMES", help="'all', or names with commas; the main task by default")
    parser.add_argument("--json", action="store_true", help="print one JSON list with an object for each file")


def main(args: argparse.Namespace) -> int:
    """Predict each file; one that does not decode is named, and the others go on.

    Raises:
        UserError: a file is missing, a folder has none that fits, or the run takes several inputs.
    """
    from descant.errors import UserError

    given = [Path(file) for file in args.files]
    missing = [str(path) for path in given if not path.exists()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"there is no file {missing[0]!r}{more}: give files that exist, or folders of them")
    from descant.trained import chosen_tasks, load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch says of its own methods is nothing that a user can mend
        trained = load(args.run)
        tasks = chosen_tasks(trained, args.tasks)
        inputs = list(trained.experiment.inputs)
        if len(inputs) != 1:
            raise UserError(f"predict takes files of one input, but the run has {inputs}")
        predictions = _predictions(trained, inputs[0], _expanded(given, trained.extensions(inputs[0])), tasks)
        failed = _print_json(predictions) if args.json else _print_lines(predictions)
    return 1 if failed else 0


def _expanded(paths: Iterable[Path], extensions: Sequence[str]) -> Iterator[Path]:
    """Yield the files, and of each folder and those within it the files with one of the extensions, sorted."""
    from descant.errors import UserError

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(file for file in path.rglob("*") if file.suffix[1:].lower() in extensions and file.is_file())
        if not inside:
            raise UserError(f"the folder {str(path)!r} holds no file that ends in {', '.join(extensions)}")
        yield from inside


def _predictions(trained: Trained, name: str, files: Iterable[Path], tasks: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield ``{"file", "tasks"}`` or ``{"file", "error"}`` for each file."""
    for file in list(files):
        try:
            yield {"file": str(file), "tasks": trained.predict({name: file.read_bytes()}, tasks)}
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            print(f"descant: {file} cannot be read: {reason}", file=sys.stderr)
            yield {"file": str(file), "error": reason}


def _print_json(predictions: Iterable[Mapping[str, Any]]) -> int:
    """Print one list, an object a line; return how many files failed."""
    found = list(predictions)
    print("[" + ",\n ".join(map(json.dumps, found)) + "]")
    return sum("error" in prediction for prediction in found)


def _print_lines(predictions: Iterable[Mapping[str, Any]]) -> int:
    """Print a line for each file, or a line for each task below it; return how many files failed."""
    failed = 0
    for prediction in predictions:
        answers = prediction.get("tasks", {})
        failed += "error" in prediction
        if len(answers) == 1:
            ((task, answer),) = answers.items()
            print(f"{prediction['file']}: {task} {readable(answer)}")
        elif answers:
            width = max(map(len, answers))
            print(prediction["file"])
            print("\n".join(f"  {task:<{width}}  {readable(answer)}" for task, answer in answers.items()))
    return failed


def readable(answer: Mapping[str, Any]) -> str:
    """Return a task's answer as people read it: the likeliest classes, rounded points and numbers."""
    if "class" in answer:
        likeliest = sorted(answer["classes"].items(), key=lambda item: -item[1])[:_BEST]
        return ", ".join(f"{name} {share:.1%}" for name, share in likeliest)
    if "points" in answer:
        return str([[round(float(x), 1), round(float(y), 1)] for x, y in answer["points"]])
    if "value" not in answer:
        return ", ".join(f"{name} {share:.1%}" for name, share in answer.items())
    value = answer["value"]
    if isinstance(value, list) and value and isinstance(value[0], list):
        return f"{len(value)} x {len(value[0])} values (--json gives them)"
    numbers = value if isinstance(value, list) else [value]
    return ", ".join(f"{number:.6g}" for number in numbers)
