"""When to log, evaluate and save: decided from the step alone, so that all ranks decide alike."""

from __future__ import annotations

from dataclasses import dataclass

from descant.data.order import TrainingOrder
from descant.loop.progress import Progress
from descant.recipe import TrainerSettings


@dataclass(frozen=True)
class Due:
    """What follows a step.

    Attributes:
        log: write the losses and speeds since the last such row.
        epoch_ends: the step is the last one of its epoch.
        evaluate: score the validation split.
        save: write a checkpoint.
        done: the step is the last one of the run.
    """

    log: bool
    epoch_ends: bool
    evaluate: bool
    save: bool
    done: bool


class Cadence:
    """The rhythm of a run.

    Args:
        settings: the recipe's ``trainer``.
        order: which says how many batches an epoch has.
    """

    def __init__(self, settings: TrainerSettings, order: TrainingOrder) -> None:
        self._settings, self._batches = settings, order.batches
        whole = settings.epochs * order.batches
        self.steps = whole if settings.steps is None else min(whole, settings.steps)
        """Optimizer steps of the whole run."""
        self.epochs = -(-self.steps // order.batches)
        """Epochs of the whole run, the last one perhaps cut short by ``trainer.steps``."""

    def after(self, progress: Progress) -> Due:
        """Return what follows the step that ``progress`` stands before."""
        settings, step = self._settings, progress.step + 1
        done, epoch_ends = step == self.steps, progress.batch + 1 == self._batches
        rests = done or epoch_ends
        return Due(
            log=rests or step % settings.log_steps == 0,
            epoch_ends=epoch_ends,
            evaluate=done or (epoch_ends and (progress.epoch + 1) % settings.evaluate_epochs == 0),
            save=rests or (settings.checkpoint_steps is not None and step % settings.checkpoint_steps == 0),
            done=done,
        )
