"""``descant balancers``."""

from __future__ import annotations

import argparse

HELP = "the ways to balance tasks, one line each"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


def main(args: argparse.Namespace) -> int:
    """Print name, needs, cost, and the first line of the docstring."""
    from descant.balance import balancers
    from descant.cli.listing import print_listing

    print_listing((name, f"needs {cls.needs}, costs {cls.cost}", cls.__doc__) for name, cls in balancers.items())
    return 0
