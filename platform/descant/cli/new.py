"""``descant new task NAME [--data FOLDER [--label LABEL]] [--out FOLDER]``."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write a task of your own, with its test and its recipe, which run as they are"
HAS_ACTIONS = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    task = actions.add_parser("task", help="write NAME.py, test_NAME.py and NAME.yaml")
    task.add_argument("name", metavar="NAME", help="of the task: letters, digits and _")
    task.add_argument("--data", metavar="FOLDER", help="the data set to learn from (default: that of the demo)")
    task.add_argument("--label", help="the label to learn (default: none, parts of the input are hidden and guessed)")
    task.add_argument("--out", metavar="FOLDER", default=".", help="where the files go (default: here)")


def main(args: argparse.Namespace) -> int:
    """Write the files, and say what to type next."""
    import shlex

    from descant.cli.new_task import design
    from descant.errors import UserError
    from descant.files import write_text

    if args.label is not None and args.data is None:
        raise UserError("--label names a label of a data set: give the data set too, with --data FOLDER")
    out = Path(args.out)
    _check_name(args.name)
    places = [out / f"{args.name}.py", out / f"test_{args.name}.py", out / f"{args.name}.yaml"]
    for place in places:
        if place.exists():
            raise UserError(f"{str(place)!r} is there already: give the task another name, or --out another folder")
    new = design(args.name, args.data, args.label)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for place, text in zip(places, (new.module, new.test, new.recipe), strict=True):
            write_text(place, text)
    except OSError as error:
        raise UserError(f"nothing can be written into {str(out)!r}: {error.strerror}") from error
    task, test, recipe = (shlex.quote(str(place)) for place in places)
    print(f"wrote {task}, {test} and {recipe}: {new.said}\nnext:")
    print(f"  python -m pytest {test}")
    print(f"  descant train {recipe}")
    if new.is_auxiliary:
        print(f"  descant compare {recipe} --arms tasks.{args.name}.weight=0,{new.weight:g} --seeds 3")
    return 0


def _check_name(name: str) -> None:
    """Raise a UserError for a name that is no identifier, or that a task, a recipe or a module has."""
    import importlib.util
    import keyword
    import sys

    from descant.errors import UserError
    from descant.recipe import shipped_recipes
    from descant.tasks import tasks

    if not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(f"{name!r} cannot be the name of a task: take letters, digits and _, such as 'drum_solo'")
    owners = {"a task": name in tasks.names(), "a shipped recipe": name in shipped_recipes()}
    # A plugin file is a module of its name, which must not hide another one.
    owners["a Python module"] = name in sys.modules or importlib.util.find_spec(name) is not None
    for owner, is_taken in owners.items():
        if is_taken:
            raise UserError(f"{name!r} is the name of {owner} already: give the task another one, such as 'my_{name}'")
