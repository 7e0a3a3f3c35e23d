"""Losses that are NaN or infinite: found before they reach a weight, named, and counted.

Shapes: K tasks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from descant.errors import StoppedTogether
from descant.loop.objective import TaskLosses
from descant.loop.ranks import Ranks
from descant.recipe import TrainerSettings

logger = logging.getLogger("descant")


class Remembered:
    """A micro-batch's losses, and which tasks' are finite, on its way to the host since the forward pass."""

    def __init__(self, keys: list[str], losses: TaskLosses) -> None:
        self.keys, self.losses = keys, losses
        self._finite_K, self._arrived = losses.finite_K, None
        if losses.finite_K.is_cuda:
            self._finite_K = torch.empty_like(losses.finite_K, device="cpu", pin_memory=True)
            self._finite_K.copy_(losses.finite_K, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def finite_K(self) -> Tensor:
        """Wait for the forward pass, not for what came after it, and return which tasks' losses are finite."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._finite_K


def broken_tasks(micro_batches: Sequence[Remembered], step: int, tasks: Sequence[str], ranks: Ranks) -> dict[str, str]:
    """Return the tasks whose losses of a step are not finite on some rank, each with what to say; every rank calls it.

    Asked after the backward pass: by then the device has the losses ready, and nothing waits.

    Args:
        micro_batches: of this rank.
        step: its number.
        tasks: names, in the order of K.
        ranks: who step along.
    """
    broken_K = torch.zeros(len(tasks), dtype=torch.int64)
    for one in micro_batches:
        broken_K += ~one.finite_K()
    places = ranks.sum(broken_K).nonzero()[:, 0].tolist()
    if not places:
        return {}
    own = {tasks[place]: _told(step, tasks[place], place, micro_batches) for place in places}
    gathered = [texts for texts in ranks.gather(own) if isinstance(texts, dict)]
    return {name: next((texts[name] for texts in gathered if texts[name]), "") for name in own}


class Patience:
    """Counts the steps in a row at which a task's loss was not finite.

    Args:
        tasks: names.
        main: the main task.
        settings: how many such steps there may be, and what comes then.
        warns: whether this is the rank that says so.
    """

    def __init__(self, tasks: Sequence[str], main: str, settings: TrainerSettings, warns: bool) -> None:
        self._main, self._settings, self._warns = main, settings, warns
        self._lengths = dict.fromkeys(tasks, 0)

    def add(self, broken: Mapping[str, str], taught: Sequence[str]) -> list[str]:
        """Add a step: what to say of the tasks whose loss was not finite, and the tasks that learnt of it.

        Returns:
            the tasks that are to be suspended.

        Raises:
            StoppedTogether: the run is to end.
        """
        for name in taught:
            self._lengths[name] = 0
        suspended = []
        for name, says in broken.items():
            self._lengths[name] += 1
            length = self._lengths[name]
            if length <= self._settings.nonfinite_steps:
                if length == 1 and self._warns:
                    logger.warning("%s: the step goes on without the task", says)
            elif name == self._main or self._settings.nonfinite_action == "stop":
                also = f", as in the {length - 1} steps before" if length > 1 else ""
                raise StoppedTogether(
                    f"{says}{also}: look at these samples, or lower optimizer.lr; what was saved before is kept"
                )
            else:
                suspended.append(name)
                if self._warns:
                    logger.warning("%s, as in the %d steps before: the run goes on without the task", says, length - 1)
        return suspended

    def state_dict(self) -> dict[str, int]:
        """Return all that is carried from step to step."""
        return dict(self._lengths)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Take back what ``state_dict`` gave."""
        self._lengths.update(state)


def _told(step: int, name: str, place: int, micro_batches: Sequence[Remembered]) -> str:
    """Return what this rank knows of a task's broken losses, empty if nothing."""
    for one in micro_batches:
        if bool(one.finite_K()[place]):
            continue
        losses_B = one.losses.per_sample[name]
        broken = (~losses_B.isfinite()).nonzero()[:, 0].tolist()
        if not broken:
            return f"the sum of the losses of the task {name!r} became infinite at step {step}"
        keys = ", ".join(repr(one.keys[row]) for row in broken[:5])
        more = f" and {len(broken) - 5} more" if len(broken) > 5 else ""
        value = float(losses_B[broken[0]])
        return f"the loss of the task {name!r} became {value} at step {step} on the samples {keys}{more}"
    return ""
