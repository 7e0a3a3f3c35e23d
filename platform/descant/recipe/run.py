"""The recipe's ``run``: where and on what to run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from descant.errors import UserError
from descant.recipe.settings import as_text, at_least, names, typed


@dataclass(frozen=True)
class RunSettings:
    """Where and on what to run.

    Attributes:
        runner: ``ray``, or ``inline`` for this process.
        name: the run's folder under ``dir``; the recipe's name if None.
        dir: where run folders are.
        workers: the fewest, without which the run does not start, and the most; a recipe gives one number or both.
        cpus_per_worker: CPUs, and threads of torch, per worker.
        gpus_per_worker: GPUs per worker; None gives each worker one where there are enough for all.
        address: of a Ray cluster; None: one of its own on this machine.
        max_failures: how often lost workers are replaced before the run fails; -1 for ever.
    """

    runner: str = "ray"
    name: str | None = None
    dir: str = "runs"
    workers: tuple[int, int] = (1, 1)
    cpus_per_worker: int = 1
    gpus_per_worker: float | None = None
    address: str | None = None
    max_failures: int = 3

    def __post_init__(self) -> None:
        """Refuse counts and names without a meaning."""
        at_least("run.cpus_per_worker", self.cpus_per_worker, 1)
        at_least("run.max_failures", self.max_failures, -1)
        gpus = self.gpus_per_worker
        if gpus is not None and not 0 <= gpus < math.inf:
            raise UserError(
                f"run.gpus_per_worker is {gpus!r}: give a number from 0, or null for one each where there are enough"
            )
        if self.workers[1] > 1 and gpus not in (None, 0, 1):
            raise UserError(
                f"run.gpus_per_worker is {gpus:g} with several workers: give 0 or 1, or null for one each where there "
                f"are enough"
            )
        if self.name is not None and (not self.name or "/" in self.name or self.name.startswith(".")):
            raise UserError(f"run.name is {self.name!r}: give a plain folder name; run.dir says where it goes")

    @classmethod
    def parse(cls, values: object) -> RunSettings:
        """Return the settings that a recipe gives at ``run``; null stands for the default."""
        if not isinstance(values, Mapping):
            return typed("run", cls, values)
        given = {key: value for key, value in values.items() if value is not None or key not in names(cls)}
        texts = {key: as_text(given[key]) for key in ("name", "dir", "address") if key in given}
        workers = {"workers": _range(given["workers"])} if "workers" in given else {}
        return typed("run", cls, {**given, **texts, **workers})

    @property
    def plain(self) -> dict[str, Any]:
        """The settings as a recipe writes them."""
        least, most = self.workers
        return {**dataclasses.asdict(self), "workers": least if least == most else [least, most]}


def _range(workers: object) -> tuple[int, int]:
    pair = workers if isinstance(workers, (list, tuple)) else [workers, workers]
    if len(pair) == 2 and type(pair[0]) is int and type(pair[1]) is int and 1 <= pair[0] <= pair[1]:
        return pair[0], pair[1]
    raise UserError(f"run.workers is {workers!r}: give a whole number from 1, or a range such as [1,4]")
