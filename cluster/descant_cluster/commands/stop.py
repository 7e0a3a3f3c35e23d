"""``descant stop JOB``."""

from __future__ import annotations

import argparse

from descant_cluster.commands import add_job

HELP = "end a job; its checkpoint is written first"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_job(parser)


def main(args: argparse.Namespace) -> int:
    """Ask the job to end, and wait until it has."""
    from descant_cluster.jobs import call, stop

    job = stop(call(args.address, args.job), args.job)
    print(f"{args.job} has ended ({job['status'].lower()}); to go on: descant resubmit {args.job}")
    return 0
