"""``descant cluster up|down|status``."""

from __future__ import annotations

import argparse

HELP = "start, end or look at a Ray cluster of your own on this machine"
HAS_ACTIONS = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    up = actions.add_parser("up", help="start it, behind a token, for this machine alone")
    up.add_argument(
        "--workers", type=int, metavar="N", help="how many workers of one CPU find room (default: one per core)"
    )
    up.add_argument("--port", type=int, help="of the address that submit takes (default: 8265, or a free one)")
    up.add_argument(
        "--host", default="127.0.0.1", help="what it listens on; another than this lets other machines in (%(default)s)"
    )
    up.add_argument("--no-authentication", action="store_true", help="no token: all users of the machine may run jobs")
    up.add_argument(
        "--anyone-may-run-programs-here",
        action="store_true",
        help="needed for --no-authentication with a --host that other machines reach",
    )
    actions.add_parser("down", help="end it, and all jobs on it, which write their checkpoints first")
    actions.add_parser("status", help="whether it runs, where, and what runs on it")


def main(args: argparse.Namespace) -> int:
    """Run the action."""
    return {"up": _up, "down": _down, "status": _status}[args.action](args)


def _up(args: argparse.Namespace) -> int:
    from descant.cores import usable_cores
    from descant_cluster.head import Wish, up

    workers = usable_cores() if args.workers is None else args.workers
    open_to_all = args.anyone_may_run_programs_here
    cluster = up(Wish(workers, args.host, args.port, not args.no_authentication, open_to_all))
    print(f"a Ray cluster with room for {_workers(cluster.workers)} runs at")
    print(cluster.address)
    print(f"to use it: descant submit RECIPE --address {cluster.address}")
    print(f"       or: descant train RECIPE run.address={cluster.gcs}")
    if cluster.token is not None:
        print(f"its token, which commands find by themselves, is in {cluster.token}")
    print("to end it: descant cluster down")
    return 0


def _down(args: argparse.Namespace) -> int:
    from contextlib import suppress

    from descant.errors import RunError, UserError
    from descant_cluster.head import down
    from descant_cluster.jobs import stop
    from descant_cluster.local import current
    from descant_cluster.rest import Dashboard

    before = current()
    if before is not None and before.is_running:
        with suppress(RunError, UserError):  # it may be half dead
            dashboard = Dashboard(before.address, before.access)
            for job in dashboard.jobs():
                stop(dashboard, job["submission_id"])
    cluster = down()
    print("no cluster was running" if cluster is None else f"the cluster at {cluster.address} has ended")
    return 0


def _status(args: argparse.Namespace) -> int:
    from descant.errors import RunError
    from descant_cluster.local import current
    from descant_cluster.rest import Dashboard

    cluster = current()
    if cluster is None:
        raise RunError("no cluster runs on this machine: 'descant cluster up' starts one")
    if not cluster.is_running:
        raise RunError(f"the cluster at {cluster.address} has died: 'descant cluster down' clears up after it")
    running = [job for job in Dashboard(cluster.address, cluster.access).jobs() if job["status"] == "RUNNING"]
    print(f"a Ray cluster with room for {_workers(cluster.workers)} runs at")
    print(cluster.address)
    print(f"jobs: {len(running)} running; 'descant status' lists all")
    return 0


def _workers(count: int) -> str:
    return f"{count} worker{'s' * (count != 1)} of one CPU"
