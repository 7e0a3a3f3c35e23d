"""How far a run is: what a checkpoint holds beside weights and optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from descant.data.order import TrainingOrder
from descant.errors import RunError, UserError
from descant.tasks import Metric

VERSION = 2


@dataclass
class Best:
    """The best epoch so far, by the main task's first metric on the validation split, and the step that ended it."""

    epoch: int
    step: int
    value: float
    metrics: dict[str, dict[str, float]]


@dataclass
class Progress:
    """Counts of a run.

    Attributes:
        step: optimizer steps done.
        epoch, batch: the next global batch is ``batch`` of ``epoch``.
        best: the best epoch so far.
        train_s: seconds spent so far, over all starts.
        samples: samples trained on, over all starts.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: Best | None = None
    train_s: float = 0.0
    samples: int = 0

    def advance(self, order: TrainingOrder) -> int:
        """Count one step; return over how many samples of the epoch it went."""
        positions = order.size(self.batch)
        self.step += 1
        self.samples += positions
        self.batch += 1
        if self.batch == order.batches:
            self.epoch, self.batch = self.epoch + 1, 0
        return positions

    def improves(self, epoch: int, metric: Metric, value: float, scores: Mapping[str, Mapping[str, float]]) -> bool:
        """Return whether ``value`` of ``metric`` is the best so far, and keep it with all tasks' scores if it is.

        The first value is the best so far even if it is not a number.
        """
        if self.best is not None and not metric.better(value, self.best.value):
            return False
        self.best = Best(epoch, self.step, value, {task: dict(values) for task, values in scores.items()})
        return True

    def state_dict(self, order: TrainingOrder) -> dict[str, Any]:
        """Return the progress as JSON; ``data`` alone decides which samples come next."""
        data = {
            "version": VERSION,
            "fingerprint": order.fingerprint,
            "seed": order.seed,
            "epoch": self.epoch,
            "batch_size": order.batch_size,
            "consumed": int(order.bounds[self.batch]),
        }
        best = None if self.best is None else asdict(self.best)
        return {"step": self.step, "train_s": self.train_s, "samples": self.samples, "best": best, "data": data}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any], order: TrainingOrder) -> Progress:
        """Return the progress that ``state_dict`` gave, for any number of ranks.

        Raises:
            UserError: the seed or the batch size is another one.
            RunError: the data set is another one, or the state is from another version.
        """
        data = state["data"]
        if data["version"] != VERSION:
            raise RunError(f"the checkpoint's data state has version {data['version']}, this program reads {VERSION}")
        if data["fingerprint"] != order.fingerprint:
            raise RunError(
                "the data set changed since the run's last checkpoint, so its order is lost: "
                "put the old shards back, or give a new run.name"
            )
        for what, now in (("seed", order.seed), ("batch_size", order.batch_size)):
            if data[what] != now:
                raise UserError(
                    f"the run was stopped with {what} {data[what]} and cannot go on with {now} in the middle of its "
                    f"order: keep {data[what]}, or give a new run.name"
                )
        best = None if state["best"] is None else Best(**state["best"])
        batch = int(np.searchsorted(order.bounds, data["consumed"]))
        return cls(state["step"], data["epoch"], batch, best, state["train_s"], state["samples"])
