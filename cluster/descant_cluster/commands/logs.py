"""``descant logs JOB [--follow]``."""

from __future__ import annotations

import argparse

from descant_cluster.commands import add_job

HELP = "what a job has written"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_job(parser)
    parser.add_argument("--follow", "-f", action="store_true", help="go on until it ends; Ctrl-C leaves it running")


def main(args: argparse.Namespace) -> int:
    """Print the log, all or as it comes."""
    import sys

    from descant_cluster.jobs import call, check_ended, follow, own_log

    dashboard = call(args.address, args.job)
    if not args.follow:
        print(own_log(dashboard.log(args.job)), end="")
        return 0
    try:
        return check_ended(follow(dashboard, args.job), args.job)
    except KeyboardInterrupt:
        print(f"detached; the job goes on: descant logs {args.job} --follow", file=sys.stderr)
        return 130
