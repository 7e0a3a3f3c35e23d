"""``descant recipes``."""

from __future__ import annotations

import argparse

HELP = "the recipes there are, one line each"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


def main(args: argparse.Namespace) -> int:
    """Print name and first comment line."""
    from descant.cli.listing import print_listing
    from descant.recipe import shipped_recipes

    print_listing(shipped_recipes().items())
    return 0
