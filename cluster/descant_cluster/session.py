"""A Ray cluster for the length of one run: one of this machine's own, or one that is running already."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from descant.errors import RunError, UserError
from descant_cluster.access import Access, environment, find_access, host_port, own_token
from descant_cluster.job import JOB as JOB_VARIABLE
from descant_cluster.knock import check_answers, check_let_in, silent
from descant_cluster.local import loopback_places, on_loopback, token_files
from descant_cluster.settings import Placement
from descant_cluster.tls import check_tls

logger = logging.getLogger("descant")
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # paths in recipes are relative to where the user stands
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",  # the default of 2 s delays the start, each report and the end
    "RAY_TRAIN_METRICS_ENABLED": "0",  # rows go to the run folder
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "2",  # of a group that has lost a rank nothing orderly is to come
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a worker that asked for no GPU sees none
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # workers that end with the run are no news
}
"""Read by Ray when it starts; whatever the user has set stays."""
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
    settings = ENVIRONMENT if placement.run.address else ENVIRONMENT | _LOCAL_ENVIRONMENT
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    check_tls()
    import ray

    with _access(placement.run.address) as access, environment(access.variables), _on_loopback(placement.run.address):
        try:
            _start(placement)
            _speak_for_ray()
            yield _resources()
        finally:
            ray.shutdown()


@contextmanager
def _access(address: str | None) -> Iterator[Access]:
    """Yield how to start a cluster here, or how to call the one at ``address``."""
    if address is None:
        with own_token() as access:
            yield access
    elif JOB_VARIABLE in os.environ:
        yield Access({})  # within a job: the cluster has given it all that it needs
    else:
        check_answers(address)
        access = find_access(address, token_files())
        check_let_in(address, access)
        yield access


@contextmanager
def _on_loopback(address: str | None) -> Iterator[None]:
    """Have Ray take this machine's loopback for its address, where the cluster is one that listens there alone.

    Ray's setting is for systems on which it starts no clusters of several machines; elsewhere it puts the machine's
    address in the place of 127.0.0.1, where such a cluster does not listen.
    """
    from ray._private import ray_constants

    if address is not None and (JOB_VARIABLE in os.environ or host_port(address) not in loopback_places()):
        yield
        return
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        with environment(on_loopback()):
            yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


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
        raise _refusal(placement.run.address, error) from error
    finally:
        imports.join()


def _refusal(address: str, error: Exception) -> Exception:
    """Return what to say of a cluster that answers and does not take this process."""
    words = " ".join(str(error).split())
    if "ersion mismatch" in words:
        return UserError(f"the cluster at run.address={address} runs other versions than this environment: {words}")
    return RunError(silent(address, words))


def _resources() -> dict[str, float]:
    import ray
    from ray._private.state import state

    there: dict[str, float] = dict(ray.cluster_resources())  # type: ignore[no-untyped-call]
    for name, most in (state.get_max_resources_from_cluster_config() or {}).items():
        there[name] = max(float(most), there.get(name, 0.0))
    return there
