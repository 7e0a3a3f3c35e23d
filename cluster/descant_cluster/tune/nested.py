"""A trial of several workers: Ray Train starts them, from within the trial's own process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from descant.recipe import RunSettings
from descant.run.request import RunRequest
from descant.tune.trial import Watch
from descant_cluster.runner import train_on_workers
from descant_cluster.settings import Placement


def on_workers(resources: Mapping[str, float]) -> Callable[[RunRequest, Watch], None]:
    """Return what trains a trial on the workers of a cluster that has ``resources``."""

    def run(request: RunRequest, watch: Watch) -> None:
        placement = Placement(RunSettings.parse(request.recipe["run"]))
        train_on_workers(request, placement, placement.gpus(resources), watch.add, should_stop=watch.should_stop)

    return run
