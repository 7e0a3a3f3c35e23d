"""``descant stop JOB``."""

from __future__ import annotations

import argparse

from descant_cluster.commands import add_job

HELP = "end a job; its checkpoint is written first"
_PATIENCE_S = 150.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_job(parser)


def main(args: argparse.Namespace) -> int:
    """Ask the job to end, and wait until it has."""
    from descant.errors import RunError
    from descant_cluster.jobs import call, wait_for_end
    from descant_cluster.rest import ENDED

    dashboard = call(args.address, args.job)
    before = dashboard.job(args.job)
    if before["status"] in ENDED:
        print(f"{args.job} has ended already ({before['status'].lower()})")
        return 0
    dashboard.stop(args.job)
    job = wait_for_end(dashboard, args.job, _PATIENCE_S)
    if job["status"] not in ENDED:
        raise RunError(f"the job {args.job} has not ended within {_PATIENCE_S:.0f} s: see 'descant logs {args.job}'")
    print(f"{args.job} has ended ({job['status'].lower()}); to go on: descant resubmit {args.job}")
    return 0
