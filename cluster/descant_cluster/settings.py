"""What a recipe's ``run`` part takes of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from descant.cores import usable_cores
from descant.errors import UserError
from descant.recipe import RunSettings


@dataclass(frozen=True)
class Placement:
    """Where and on how much a run trains."""

    run: RunSettings

    @property
    def is_elastic(self) -> bool:
        """Whether the number of workers may change in mid-run."""
        least, most = self.run.workers
        return most > least

    def local_cpus(self) -> int:
        """Return how many CPUs a cluster on this machine has: more than real ones where the run asks for more."""
        return max(self.run.workers[0] * self.run.cpus_per_worker, usable_cores())

    def gpus(self, resources: Mapping[str, float]) -> float:
        """Return how many GPUs each worker gets on a cluster that has ``resources``."""
        if self.run.gpus_per_worker is not None:
            return self.run.gpus_per_worker
        return 1.0 if resources.get("GPU", 0) >= self.run.workers[0] else 0.0

    def check_room(self, resources: Mapping[str, float]) -> None:
        """Raise a UserError when a cluster that has, or may grow to, ``resources`` can never hold the run."""
        least = self.run.workers[0]
        for name, each in (("CPU", float(self.run.cpus_per_worker)), ("GPU", self.gpus(resources))):
            needed, there = each * least, resources.get(name, 0.0)
            if needed > there:
                raise UserError(
                    f"run.workers={least} needs {needed:g} {name}s and the cluster has {there:g}: "
                    f"give fewer workers, or less to each by run.{name.lower()}s_per_worker"
                )
