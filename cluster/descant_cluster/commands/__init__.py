"""The commands that Descant has with a cluster; each imports what it needs when it runs."""

from __future__ import annotations

import argparse


def add_job(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """Declare a job's name and where its cluster is."""
    parser.add_argument("job", metavar="JOB", nargs=None if needed else "?", help="its name, as submit has printed it")
    parser.add_argument("--address", metavar="URL", help="of the cluster's dashboard (default: where it was handed in)")
