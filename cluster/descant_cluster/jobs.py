"""Jobs on a cluster, seen from outside: call it, follow a job, wait for its end."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from descant.errors import RunError, UserError
from descant_cluster.access import find_access, is_disabled, no_authentication
from descant_cluster.handing_in import STOP_S, remembered
from descant_cluster.local import current, token_files
from descant_cluster.rest import ENDED, Dashboard, checked_address, is_loopback
from descant_cluster.runner import STARTS

logger = logging.getLogger("descant")
_POLL_S = 1.0
_BYTES_A_SECOND = 2**20  # a long log is asked for less often: each answer has all of it
_RUNS = "Running entrypoint for job "
EXIT_CODES = {"SUCCEEDED": 0, "STOPPED": 130}


def call(address: str | None, job: str | None = None) -> Dashboard:
    """Return the dashboard of a cluster that lets this user in.

    Args:
        address: as the user gave it; None takes where ``job`` was handed in, or the cluster that runs on this machine.
        job: by name.

    Raises:
        UserError: there is no address, no token or a wrong one, or the cluster has no authentication.
        RunError: nobody answers.
    """
    place = checked_address(address if address is not None else _known_address(job))
    if not Dashboard(place, no_authentication()).wants_token() and not is_disabled():
        raise UserError(
            f"the cluster at {place} has no authentication: anybody may run programs on it; set RAY_AUTH_MODE=disabled "
            f"to call it all the same, or start it with a token"
        )
    if place.startswith("http://") and not is_loopback(place):
        logger.warning("the token goes to %s unencrypted: take https:// or a tunnel to its port on this machine", place)
    dashboard = Dashboard(place, find_access(place, token_files()))
    dashboard.ray_version()  # the first call with the token
    return dashboard


def check_version(dashboard: Dashboard) -> None:
    """Raise a UserError when the cluster's Ray is another minor release than this environment's."""
    there, here = dashboard.ray_version(), version("ray")
    if there.split(".")[:2] != here.split(".")[:2]:
        raise UserError(
            f"the cluster at {dashboard.address} runs Ray {there} and this environment has {here}: give the cluster an "
            f"image with Ray {'.'.join(here.split('.')[:2])}"
        )


def _known_address(job: str | None) -> str:
    before = remembered(job) if job is not None else None
    if before is not None:
        return before[1]
    cluster = current()
    if cluster is None or not cluster.is_running:
        raise UserError(
            "no cluster is named and none runs on this machine: give --address http://HOST:8265, or start one with "
            "'descant cluster up'"
        )
    return cluster.address


def follow(dashboard: Dashboard, name: str, *, until_it_trains: bool = False) -> dict[str, Any]:
    """Print what a job writes, as it comes, and return what is known of it at its end.

    Args:
        dashboard: of the cluster.
        name: of the job.
        until_it_trains: return as soon as everything was checked and its workers start.

    Raises:
        KeyboardInterrupt: Ctrl-C; the job goes on.
    """
    latest: dict[str, Any] = {}
    for lines, job in _news(dashboard, name):
        sys.stdout.write(lines)
        sys.stdout.flush()
        latest = job
        if until_it_trains and STARTS in lines:
            break
    return latest


def stop(dashboard: Dashboard, name: str) -> dict[str, Any]:
    """Ask a job to end, and return what is known of it once it has.

    Raises:
        RunError: it has not, in more time than Ray gives it.
    """
    job = dashboard.job(name)
    if job["status"] not in ENDED:
        dashboard.stop(name)
    deadline_s = time.monotonic() + STOP_S + 30.0
    while job["status"] not in ENDED:
        if time.monotonic() > deadline_s:
            raise RunError(f"the job {name} does not end: see 'descant logs {name}'")
        time.sleep(_POLL_S / 4)
        job = dashboard.job(name)
    return job


def exit_code(job: dict[str, Any]) -> int:
    """Return the exit code that tells how a job ended: its own program's, where that ended by itself."""
    code = job.get("driver_exit_code")
    if isinstance(code, int) and 0 <= code <= 255:
        return code
    return EXIT_CODES.get(job["status"], 1)


def ending(job: dict[str, Any]) -> str | None:
    """Return why a job failed without a word of its own program, None where that said it."""
    if job["status"] != "FAILED" or (job.get("driver_exit_code") or 0) > 0:
        return None
    lines = [line.strip() for line in str(job.get("message") or "").splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else "its program was killed"


def own_log(text: str) -> str:
    """Return a job's log from where its program starts, without what Ray says before."""
    _, found, rest = text.partition(_RUNS)
    return rest.partition("\n")[2] if found else ""


def _news(dashboard: Dashboard, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield whole lines that are new, with what is known of the job, until it has ended."""
    shown = 0
    while True:
        job = dashboard.job(name)
        text = own_log(dashboard.log(name))
        has_ended = job["status"] in ENDED
        end = len(text) if has_ended else text.rfind("\n") + 1
        yield text[shown:end], job
        shown = max(shown, end)
        if has_ended:
            return
        time.sleep(max(_POLL_S, len(text) / _BYTES_A_SECOND))


def check_ended(job: dict[str, Any], name: str) -> int:
    """Return the exit code of a job that has ended; what its program could not say is a RunError."""
    said = ending(job)
    if said is not None:
        raise RunError(f"the job {name} failed ({said}): 'descant resubmit {name}' goes on from its last checkpoint")
    return exit_code(job)
