"""What a recipe's ``run`` part asks of Ray, checked before Ray starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from descant.errors import UserError


@dataclass(frozen=True)
class Placement:
    """Where and on how much a run trains.

    Attributes:
        least_workers: without so many the run does not start.
        most_workers: more than ``least_workers`` makes the run elastic: it takes what there is, up to this.
        cpus_per_worker: CPUs, and threads of torch, per worker.
        gpus_per_worker: GPUs per worker; None gives each worker one where there are enough for all.
        address: of a running cluster; None starts one on this machine.
        max_failures: how often lost workers are replaced before the run fails; -1 for ever.
    """

    least_workers: int = 1
    most_workers: int = 1
    cpus_per_worker: int = 1
    gpus_per_worker: float | None = None
    address: str | None = None
    max_failures: int = 3

    @property
    def is_elastic(self) -> bool:
        """Whether the number of workers may change in mid-run."""
        return self.most_workers > self.least_workers

    @classmethod
    def from_recipe(cls, run: Mapping[str, Any]) -> Placement:
        """Read the ``run`` part of a resolved recipe; keys that are absent or null keep their defaults."""
        least, most = _range(run.get("workers"))
        gpus = run.get("gpus_per_worker")
        if gpus is not None and (isinstance(gpus, bool) or not isinstance(gpus, (int, float)) or gpus < 0):
            raise UserError(
                f"run.gpus_per_worker is {gpus!r}: give a number from 0, or null for one each where there are enough"
            )
        return cls(
            least_workers=least,
            most_workers=most,
            cpus_per_worker=_whole(run, "cpus_per_worker", default=1, least=1),
            gpus_per_worker=gpus,
            address=run.get("address"),
            max_failures=_whole(run, "max_failures", default=3, least=-1),
        )

    def local_cpus(self) -> int:
        """Return how many CPUs a cluster on this machine has: more than real ones where the run asks for more."""
        return max(self.least_workers * self.cpus_per_worker, os.cpu_count() or 1)

    def gpus(self, resources: Mapping[str, float]) -> float:
        """Return how many GPUs each worker gets on a cluster that has ``resources``."""
        if self.gpus_per_worker is not None:
            return self.gpus_per_worker
        return 1.0 if resources.get("GPU", 0) >= self.least_workers else 0.0

    def check_room(self, resources: Mapping[str, float]) -> None:
        """Raise a UserError when a cluster that has, or may grow to, ``resources`` can never hold the run."""
        for name, each in (("CPU", float(self.cpus_per_worker)), ("GPU", self.gpus(resources))):
            needed, there = each * self.least_workers, resources.get(name, 0.0)
            if needed > there:
                raise UserError(
                    f"run.workers={self.least_workers} needs {needed:g} {name}s and the cluster has {there:g}: "
                    f"give fewer workers, or less to each by run.{name.lower()}s_per_worker"
                )


def _range(workers: object) -> tuple[int, int]:
    if workers is None:
        return 1, 1
    pair = [workers, workers] if isinstance(workers, int) else workers
    if isinstance(pair, (list, tuple)) and len(pair) == 2:
        least, most = pair
        whole = type(least) is int and type(most) is int
        if whole and 1 <= least <= most:
            return least, most
    raise UserError(f"run.workers is {workers!r}: give a whole number from 1, or a range such as [1,4]")


def _whole(run: Mapping[str, Any], key: str, default: int, least: int) -> int:
    value = run.get(key)
    if value is None:
        return default
    if type(value) is not int or value < least:
        raise UserError(f"run.{key} is {value!r}: give a whole number from {least}")
    return value
