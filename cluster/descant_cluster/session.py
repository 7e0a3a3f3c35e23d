"""A Ray cluster for the length of one run: one of this machine's own, or one that is running already."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from descant.errors import RunError
from descant_cluster.settings import Placement

logger = logging.getLogger("descant")
# Read by Ray when it starts; whatever the user has set stays.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # paths in recipes are relative to where the user stands
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",  # the default of 2 s delays the start, each report and the end
    "RAY_TRAIN_METRICS_ENABLED": "0",  # rows go to the run folder
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "2",  # of a group that has lost a rank nothing orderly is to come
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a worker that asked for no GPU sees none
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # workers that end with the run are no news
}
_LOCAL_ENVIRONMENT = {
    "RAY_worker_niceness": "0",  # the default of 15 starves workers on a machine that does anything else
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # nobody takes this machine away; it would be one more process
}


@contextmanager
def cluster(placement: Placement) -> Iterator[Mapping[str, float]]:
    """Join the cluster that ``placement`` names, or start one here, and leave it at the end of the block.

    Yields:
        what the cluster has or may grow to: ``{"CPU": 8.0, "GPU": 1.0, …}``.

    Raises:
        RunError: nobody answers at the address.
    """
    settings = _ENVIRONMENT if placement.run.address else _ENVIRONMENT | _LOCAL_ENVIRONMENT
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    import ray

    try:
        _start(placement)
        _speak_for_ray()
        yield _resources()
    finally:
        ray.shutdown()


def _speak_for_ray() -> None:
    """Keep Ray's own page about a lost worker from the terminal: the runner says it in a sentence."""
    from ray._private import worker
    from ray._private.ray_logging import global_worker_stdstream_dispatcher

    def note(data: dict[str, Any], ignore_prefix: bool = True) -> None:
        for line in data["lines"]:
            level = logging.DEBUG if line.startswith("A worker died or was killed") else logging.WARNING
            logger.log(level, "Ray: %s", line)

    global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")
    worker.print_to_stdstream = note


def _start(placement: Placement) -> None:
    import ray

    if placement.run.address is not None:
        check_answers(placement.run.address)
    # While Ray's processes start, this one would only wait.
    imports = threading.Thread(target=import_module, args=("descant_cluster.trainer",))
    imports.start()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        if placement.run.address is None:
            ray.init(address="local", num_cpus=placement.local_cpus(), include_dashboard=False, **quiet)
        else:
            joined = ray.init(address=placement.run.address, **quiet)
            if joined.dashboard_url:
                logger.info("Ray's dashboard: http://%s", joined.dashboard_url)
    except Exception as error:  # Ray raises plain exceptions when its processes do not come up in time
        if placement.run.address is None:
            cause = " ".join(str(error).split())
            raise RunError(f"Ray did not start on this machine ({cause}): try again, or set run=inline") from error
        raise RunError(_silent(placement.run.address, error)) from error
    finally:
        imports.join()


def check_answers(address: str, timeout_s: float = 5.0) -> None:
    """Raise a RunError when nothing listens at ``[ray://]host:port``: Ray itself would try for ten minutes."""
    host, _, port = address.rpartition("://")[2].rstrip("/").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto" and the like are Ray's to resolve
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout_s).close()
    except OSError as error:
        raise RunError(_silent(address, error)) from error


def _silent(address: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0]
    return f"no Ray cluster answers at run.address={address} ({reason}): give a running one's, or null for one here"


def _resources() -> dict[str, float]:
    import ray
    from ray._private.state import state

    there: dict[str, float] = dict(ray.cluster_resources())  # type: ignore[no-untyped-call]
    for name, most in (state.get_max_resources_from_cluster_config() or {}).items():
        there[name] = max(float(most), there.get(name, 0.0))
    return there
