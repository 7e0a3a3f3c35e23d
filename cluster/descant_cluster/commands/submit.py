"""``descant submit RECIPE --address URL [--wait] [key=value …]``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from descant_cluster.handing_in import Job
    from descant_cluster.rest import Dashboard

HELP = "train a recipe as a job on a Ray cluster"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.usage = "descant submit RECIPE --address URL [--wait] [key=value ...]"
    parser.add_argument("recipe", metavar="RECIPE", help="a shipped recipe (see 'descant recipes') or a YAML file")
    parser.add_argument("overrides", nargs="*", default=[], metavar="key=value", help="as for 'descant train'")
    parser.add_argument(
        "--address", metavar="URL", help="of the cluster's dashboard (default: that of 'descant cluster up')"
    )
    parser.add_argument(
        "--wait", action="store_true", help="follow the job to its end and return its exit code; Ctrl-C detaches"
    )


def main(args: argparse.Namespace) -> int:
    """Hand the job in, and follow it until it trains, or with ``--wait`` to its end."""
    from descant.errors import UserError

    if "=" in args.recipe:
        raise UserError("submit needs a recipe first: one that 'descant recipes' lists, or the path of a YAML file")
    from descant_cluster.handing_in import job_of
    from descant_cluster.jobs import call, check_version

    dashboard = call(args.address)
    check_version(dashboard)
    return run(job_of(args.recipe, args.overrides), dashboard, wait=args.wait)


def run(job: Job, dashboard: Dashboard, *, wait: bool) -> int:
    """Hand a job in and follow it; return the exit code."""
    import sys

    from descant_cluster.jobs import check_ended, follow
    from descant_cluster.rest import ENDED

    name = job.submit(dashboard)
    print(f"job: {name}", flush=True)
    try:
        known = follow(dashboard, name, until_it_trains=not wait)
    except KeyboardInterrupt:
        print(f"detached; the job goes on. {_ways(name)}", file=sys.stderr)
        return 130
    if known["status"] in ENDED:
        return check_ended(known, name)
    print(f"it trains. {_ways(name)}")
    return 0


def _ways(name: str) -> str:
    return f"To follow it: descant logs {name} --follow; to end it: descant stop {name}"
