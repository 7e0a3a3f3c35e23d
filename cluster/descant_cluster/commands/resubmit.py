"""``descant resubmit JOB [--address URL] [--wait]``."""

from __future__ import annotations

import argparse

from descant_cluster.commands import add_job

HELP = "go on with a job that was stopped or lost, from its last checkpoint"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_job(parser)
    parser.add_argument("--wait", action="store_true", help="follow the job to its end; Ctrl-C detaches")


def main(args: argparse.Namespace) -> int:
    """Hand the same job in again under another name."""
    from descant.errors import UserError
    from descant_cluster.commands.submit import run
    from descant_cluster.handing_in import remembered
    from descant_cluster.jobs import call, check_version

    before = remembered(args.job)
    if before is None:
        raise UserError(
            f"no job {args.job!r} was handed in from here: the same 'descant submit' as before goes on with its run"
        )
    dashboard = call(args.address, args.job)
    check_version(dashboard)
    return run(before[0], dashboard, wait=args.wait)
