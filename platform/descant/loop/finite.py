"""Losses that are NaN or infinite: found before they reach a weight, named, and counted.

Shapes: K tasks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import torch

from descant.errors import StoppedTogether
from descant.loop.attempt import Attempt
from descant.loop.ranks import Ranks
from descant.recipe import TrainerSettings

logger = logging.getLogger("descant")


def broken_tasks(attempt: Attempt, tasks: Sequence[str], spoilers: Sequence[int], ranks: Ranks) -> dict[str, str]:
    """Return the tasks whose losses or gradients are not finite on some rank, and what to say; every rank calls it.

    Asked after the backward pass: by then the device has the losses ready, and nothing waits.

    Args:
        attempt: this rank's micro-batches.
        tasks: names, in the order of K.
        spoilers: the places of tasks whose gradients were not finite, as the balancer saw them.
        ranks: who step along.
    """
    broken_K = torch.zeros(len(tasks), dtype=torch.int64)
    for one in attempt.micro_batches:
        broken_K += ~one.finite_K()
    places = ranks.sum(broken_K).nonzero()[:, 0].tolist()
    found = {
        tasks[place]: f"the gradient of the task {tasks[place]!r} was not finite at step {attempt.step}"
        for place in spoilers
    }
    if not places:
        return found
    own = {tasks[place]: _told(attempt, tasks[place], place) for place in places}
    gathered = [texts for texts in ranks.gather(own) if isinstance(texts, dict)]
    return found | {name: next((texts[name] for texts in gathered if texts[name]), "") for name in own}


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


def _told(attempt: Attempt, name: str, place: int) -> str:
    """Return what this rank knows of a task's broken losses, empty if nothing."""
    for one in attempt.micro_batches:
        if bool(one.finite_K()[place]):
            continue
        losses_B = one.losses.per_sample[name]
        broken = (~losses_B.isfinite()).nonzero()[:, 0].tolist()
        if not broken:
            return f"the sum of the losses of the task {name!r} became infinite at step {attempt.step}"
        keys = ", ".join(repr(one.keys[row]) for row in broken[:5])
        more = f" and {len(broken) - 5} more" if len(broken) > 5 else ""
        value = float(losses_B[broken[0]])
        return f"the loss of the task {name!r} became {value} at step {attempt.step} on the samples {keys}{more}"
    return ""
