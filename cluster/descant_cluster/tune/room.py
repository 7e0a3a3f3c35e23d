"""How many trials a cluster holds at once, so that none waits for what another one keeps."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from descant.cores import usable_cores
from descant.errors import UserError
from descant.tune.plan import Plan
from descant_cluster.settings import Placement

logger = logging.getLogger("descant")
MOST_LOADER_WORKERS = 4


@dataclass(frozen=True)
class Room(Placement):
    """What trials take of a cluster.

    A trial of one worker trains in the process that Ray Tune starts for it, which has the worker's CPUs. One of several
    workers starts these by Ray Train; its own process then has no CPU, so all that trials wait for are their workers,
    and as many trials run as have room for all of theirs. None holds a part and waits for the rest.

    Attributes:
        side_by_side: trials that a cluster of this machine's own is made for.
    """

    side_by_side: int = 1

    @classmethod
    def of(cls, plan: Plan) -> Room:
        """Return the room of a study's trials.

        Raises:
            UserError: GPUs for each worker on a machine that has fewer.
        """
        run, settings = plan.base.run, plan.settings
        each = run.workers[0] * run.cpus_per_worker
        population = plan.trials if settings.scheduler.is_population else None
        room = cls(run, settings.concurrent or population or max(usable_cores() // each, 1))
        if run.address is None and run.gpus_per_worker:
            import torch

            room.check_room({"CPU": float(room.local_cpus()), "GPU": float(torch.cuda.device_count())})
        return room

    @property
    def is_nested(self) -> bool:
        """Whether a trial has several workers, or may come to have them."""
        return self.run.workers[1] > 1

    def local_cpus(self) -> int:
        """Return how many CPUs a cluster on this machine has: more than real ones where the study asks for more."""
        return max(self.side_by_side * self.run.workers[0] * self.run.cpus_per_worker, usable_cores())

    def slots(self, plan: Plan, resources: Mapping[str, float]) -> int:
        """Return how many trials run side by side on a cluster that has, or may grow to, ``resources``.

        Raises:
            UserError: it can never hold one trial, or not the whole of a population.
        """
        self.check_room(resources)
        least = self.run.workers[0]
        needs = {"CPU": float(self.run.cpus_per_worker * least), "GPU": self.gpus(resources) * least}
        fit = min(int(resources.get(name, 0.0) / each + 1e-9) for name, each in needs.items() if each)
        settings, trials = plan.settings, plan.trials
        if settings.scheduler.is_population and fit < trials:
            raise UserError(
                f"tune.scheduler={settings.scheduler_name} trains its {trials} trials side by side, and the cluster "
                f"holds {fit}: set tune.trials={fit}, or give less to each worker"
            )
        asked = settings.concurrent or (trials if settings.scheduler.is_population else self.side_by_side)
        if self.run.address is not None and settings.concurrent is None:
            asked = fit
        if asked > fit:
            logger.warning("the cluster holds %d trials at once, fewer than tune.concurrent=%d", fit, asked)
        return min(asked, fit, trials)

    def loader_workers(self, slots: int) -> int:
        """Return how many processes read for each worker: half of the cores that are its own."""
        own = usable_cores() // (slots * self.run.workers[0]) if self.run.address is None else self.run.cpus_per_worker
        return min(own // 2, MOST_LOADER_WORKERS)
