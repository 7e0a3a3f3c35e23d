"""``descant tasks``."""

from __future__ import annotations

import argparse

HELP = "the tasks there are, one line each"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("overrides", nargs="*", metavar="plugins=[FILE]", help="also the tasks of these plugins")


def main(args: argparse.Namespace) -> int:
    """Print name, kind, what is read, and the first line of the docstring."""
    from pathlib import Path

    from descant.cli.listing import print_listing
    from descant.errors import UserError
    from descant.plugins import load_plugins, read_plugins
    from descant.recipe import parse_override
    from descant.tasks import tasks

    for key, value in map(parse_override, args.overrides):
        if key != "plugins":
            raise UserError(f"tasks has no key {key!r}: it takes plugins=[FILE]")
        load_plugins(read_plugins(value if isinstance(value, list) else [value], [Path.cwd()]))
    print_listing(
        (name, cls.__mro__[1].__name__, f"label {cls.label}" if cls.label else "an input", cls.__doc__)
        for name, cls in tasks.items()
    )
    return 0
