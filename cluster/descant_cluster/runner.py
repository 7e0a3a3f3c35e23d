"""The runner ``ray``: the engine's training loop on the workers of a Ray cluster.

Ray Train starts the workers, joins them into a process group and replaces them when one is lost. All that lasts is
the run folder's: the workers write checkpoints and rows there and start from the last checkpoint; this process reads
the rows as they come, and asks the workers to stop by a file.
"""

from __future__ import annotations

import functools
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from descant.errors import Interrupted, RunError
from descant.recipe import RunSettings
from descant.run.failure import Failure, clear_failure
from descant.run.follow import RowFollower
from descant.run.request import RunRequest
from descant.run.stopping import StopFile, on_interrupt
from descant_cluster.fit import Fit, scratch_folder
from descant_cluster.probe import probe
from descant_cluster.session import cluster
from descant_cluster.settings import Placement

logger = logging.getLogger("descant")
POLL_S = 0.1
LOST = "lost.jsonl"
STARTS = "starting the workers"
"""What is said once everything is checked."""


def run_on_ray(
    request: RunRequest,
    on_row: Callable[[dict[str, Any]], None],
    on_lost: Callable[[Mapping[str, Any]], None] = lambda lost: None,
) -> None:
    """Train on Ray until the run is finished or has stopped at the user's wish.

    Args:
        request: what to train; its run folder is one that all workers see.
        on_row: called, in this thread, with each row that the run adds to ``metrics.jsonl``.
        on_lost: called, in this thread, with the ``ranks`` of workers that were lost, and the ``causes``.

    Raises:
        UserError: the cluster can never hold the workers, or what a worker found wrong with the recipe.
        RunError: the run could not go on, or lost its workers too often.
        Interrupted: Ray's own processes were asked to end as well, as by a SIGTERM to all.
        KeyboardInterrupt: a second Ctrl-C, or one before any worker trained.
    """
    placement = Placement(RunSettings.parse(request.recipe["run"]))
    logger.info("joining the Ray cluster" if placement.run.address else "starting Ray on this machine")
    with cluster(placement) as resources:
        placement.check_room(resources)
        _tell_idle(placement, resources)
        if placement.run.address:
            probe(request)
        logger.info(STARTS)
        train_on_workers(request, placement, placement.gpus(resources), on_row, on_lost)


def train_on_workers(
    request: RunRequest,
    placement: Placement,
    gpus_per_worker: float,
    on_row: Callable[[dict[str, Any]], None],
    on_lost: Callable[[Mapping[str, Any]], None] = lambda lost: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train on the cluster that this process has joined, as ``run_on_ray`` does, or until ``should_stop``."""
    folder = Path(request.folder)
    clear_failure(folder)
    follower = RowFollower(folder / "metrics.jsonl")
    with scratch_folder(folder) as scratch, _stop_file(folder) as stop:
        losses, told_lost = RowFollower(scratch / LOST), _LossTeller(folder.name, on_lost)
        with on_interrupt(stop.request):
            fit = Fit(_trainer(request, placement, gpus_per_worker).fit)
            while fit.is_running(POLL_S) and Failure.read(folder) is None:
                _pass_on(follower, on_row)
                _pass_on(losses, told_lost)
                if not stop.was_requested and should_stop():
                    stop.request()
    _pass_on(follower, on_row)
    _raise_problem(folder, fit, placement, stop.was_requested)


def _raise_problem(folder: Path, fit: Fit, placement: Placement, asked_to_stop: bool) -> None:
    failure = Failure.read(folder)
    if failure is not None:
        raise failure.exception()
    if fit.error is not None and asked_to_stop:
        raise Interrupted("Ray ended while the run was stopping; the same command goes on from the last checkpoint")
    if fit.error is not None:
        raise RunError(_sentence(fit.error, placement)) from fit.error


@contextmanager
def _stop_file(folder: Path) -> Iterator[StopFile]:
    stop = StopFile(folder)
    stop.clear()
    try:
        yield stop
    finally:
        stop.clear()


def _trainer(request: RunRequest, placement: Placement, gpus_per_worker: float) -> Any:
    from descant_cluster.rendezvous import BoundTorchConfig
    from descant_cluster.trainer import LocalTrainer, ShardTrainer
    from descant_cluster.worker import train

    trainer = LocalTrainer if placement.run.address is None else ShardTrainer
    return trainer(
        functools.partial(train, request.to_json()),  # not as its configuration, which Ray keeps and shows
        scaling_config=_scaling(placement, gpus_per_worker),
        # Counts, metrics and requests to stop are summed on the CPU, gradients where they are.
        torch_config=BoundTorchConfig(backend="cpu:gloo,cuda:nccl" if gpus_per_worker else None),
        run_config=_run_config(placement.run, Path(request.folder) / ".ray"),
    )


def _scaling(placement: Placement, gpus_per_worker: float) -> Any:
    from ray.train.v2.api.config import ScalingConfig

    run = placement.run
    resources = {"CPU": float(run.cpus_per_worker)} | ({"GPU": gpus_per_worker} if gpus_per_worker else {})
    return ScalingConfig(
        num_workers=run.workers if placement.is_elastic else run.workers[0],
        use_gpu=bool(gpus_per_worker),
        resources_per_worker=resources,
    )


def _run_config(run: RunSettings, scratch: Path) -> Any:
    from ray.train.v2.api.config import FailureConfig, RunConfig

    from descant_cluster.losses import LostWorkers

    environment = {
        "OMP_NUM_THREADS": str(run.cpus_per_worker),
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a worker that asked for no GPU sees none
    }
    return RunConfig(
        name=uuid.uuid4().hex,  # a name used twice would make Ray Train continue its record of an earlier run
        storage_path=str(scratch),
        callbacks=[LostWorkers(scratch / LOST)],
        failure_config=FailureConfig(max_failures=run.max_failures),
        worker_runtime_env={"env_vars": environment},
    )


def _sentence(error: BaseException, placement: Placement) -> str:
    from ray.train import WorkerGroupError

    from descant_cluster.losses import first_line

    if isinstance(error, WorkerGroupError):
        causes = sorted({first_line(cause) for cause in error.worker_failures.values()})
        return (
            f"workers were lost more often than run.max_failures={placement.run.max_failures} allows, the last time by "
            f"{'; '.join(causes)}: the same command continues from the last checkpoint"
        )
    return f"Ray Train ended the run: {first_line(error)}"


def _pass_on(follower: RowFollower, to: Callable[[dict[str, Any]], None]) -> None:
    for row in follower.poll():
        to(row)


def _tell_idle(placement: Placement, resources: Mapping[str, float]) -> None:
    there = int(resources.get("GPU", 0))
    if there and placement.run.gpus_per_worker is None and not placement.gpus(resources):
        logger.warning("%d workers train on CPUs: run.workers=%d takes the GPUs", placement.run.workers[0], there)


class _LossTeller:
    """Says that workers were lost: to the user, to Prometheus and to the run's callbacks."""

    def __init__(self, run: str, on_lost: Callable[[Mapping[str, Any]], None]) -> None:
        self._run, self._on_lost = run, on_lost

    def __call__(self, lost: Mapping[str, Any]) -> None:
        from descant_cluster.gauges import count_lost

        ranks = ", ".join(map(str, lost["ranks"]))
        causes = "; ".join(lost["causes"])
        logger.warning("worker %s was lost (%s): the run goes on from its last checkpoint", ranks, causes)
        count_lost(self._run, len(lost["ranks"]))
        self._on_lost(lost)
