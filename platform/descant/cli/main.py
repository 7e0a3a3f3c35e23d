"""The command line. Sub-commands import what is slow only when they run, so that help answers at once."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "export",
    "tune",
    "compare",
    "pack",
    "data",
    "tasks",
    "recipes",
    "balancers",
    "new",
    "top",
)


def run() -> None:
    """Be the program ``descant``."""
    sys.exit(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words

    def command() -> int:
        given = _parse([word for word in words if word != "--debug"])
        code: int = given.main(given)
        return code

    return guarded(command, debug=debug)


def guarded(command: Callable[[], int], *, debug: bool = False) -> int:
    """Return what a command returns; of its errors print the sentence and return their exit code."""
    try:
        code = command()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("descant: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        return _explain(error, debug)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse in two steps, so that only the command's own module is imported, and options may stand anywhere."""
    if not words or words[0].startswith("-"):
        _overview().parse_args(words)
    module = _command(words[0])
    parser = Parser(prog=f"descant {words[0]}", description=module.HELP)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    module.configure(parser)
    parser.set_defaults(main=module.main)
    # argparse cannot mix options and positional arguments where a command has actions of its own.
    parse = parser.parse_args if getattr(module, "HAS_ACTIONS", False) else parser.parse_intermixed_args
    return parse(words[1:])


def _command(name: str) -> Any:
    """Return the module of a command: the engine's own, or one that a package adds by ``descant.commands``."""
    if name in COMMANDS:
        return importlib.import_module(f"descant.cli.{name}")
    added = _added()
    if name not in added:
        from descant.errors import UserError, nearest

        raise UserError(f"there is no command {name!r}: {nearest(name, [*COMMANDS, *added])}")
    return added[name].load()


def _added() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group="descant.commands")}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise a UserError for what argparse refuses."""
        from descant.errors import UserError

        said = re.sub(r"^argument (\S+): ", r"\1: ", message)
        raise UserError(f"{said}; '{self.prog} --help' says what is allowed")


def _overview() -> argparse.ArgumentParser:
    from descant import __version__

    parser = Parser(
        prog="descant", description="Train a main task with the help of auxiliary tasks, and see whether they helped."
    )
    parser.add_argument("--version", action="version", version=f"descant {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in (*COMMANDS, *_added()):
        commands.add_parser(name, help=_command(name).HELP)
    return parser


def _explain(error: Exception, debug: bool) -> int:
    from descant.errors import Interrupted, UserError
    from descant.redaction import redacted

    if debug:
        print(redacted("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    if isinstance(error, Interrupted):
        print(redacted(f"descant: {error}") if str(error) else "descant: interrupted", file=sys.stderr)
        return 130
    expected = type(error).__module__ == "descant.errors"
    sentence = str(error) if expected else f"{type(error).__name__}: {error}"
    hint = "" if debug or expected else " (--debug shows where)"
    print(redacted(f"descant: {sentence}{hint}"), file=sys.stderr)
    return 2 if isinstance(error, UserError) else 1
