"""``descant status [JOB]``."""

from __future__ import annotations

import argparse
from typing import Any

HELP = "the jobs of a cluster, or one of them"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from descant_cluster.commands import add_job

    add_job(parser, needed=False)


def main(args: argparse.Namespace) -> int:
    """Print one line a job, or all that is known of one."""
    from descant.cli.listing import print_listing
    from descant_cluster.jobs import call

    dashboard = call(args.address, args.job)
    if args.job is None:
        jobs = dashboard.jobs()
        rows = [(job["submission_id"], job["status"].lower(), _times(job), _folder(job)) for job in jobs]
        print_listing([("job", "status", "time", "run folder"), *rows])
        return 0
    job = dashboard.job(args.job)
    about = {"status": job["status"].lower(), "time": _times(job), "run folder": _folder(job)}
    if job.get("driver_exit_code") is not None:
        about["exit code"] = str(job["driver_exit_code"])
    print_listing(about.items())
    return 0


def _folder(job: dict[str, Any]) -> str:
    return str((job.get("metadata") or {}).get("folder") or "")


def _times(job: dict[str, Any]) -> str:
    """Return how long a job has run."""
    import time

    if not job.get("start_time"):
        return ""
    end_s = job["end_time"] / 1000 if job.get("end_time") else time.time()
    minutes, seconds = divmod(max(0, round(end_s - job["start_time"] / 1000)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
