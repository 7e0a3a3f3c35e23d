"""What Ray Tune finds out about trials, passed on to their study."""

from __future__ import annotations

from typing import Any

from ray.tune.progress_reporter import TrialProgressCallback

from descant.report.numbers import number
from descant.run.failure import Failure
from descant.run.folder import RunFolder
from descant.tune.progress import Event, Listener
from descant.tune.study import Status, Study
from descant_cluster.losses import first_line


class Follower(TrialProgressCallback):
    """Hears of each trial's evaluations, failures and end, in the place of the one that prints them.

    Args:
        study: which is told.
        listener: told too, in words.
    """

    def __init__(self, study: Study, listener: Listener) -> None:
        super().__init__()
        self._study, self._listener = study, listener

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Pass on an evaluation."""
        objective = self._study.plan.objectives[0]
        sign = 1 if objective.direction == "max" else -1
        text = f"epoch {result['epochs']}, {objective.name} {number(sign * result['score'])}"
        self._listener(Event("evaluated", trial.config["number"], text))

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """Note a failure after which the trial is tried again."""
        own, error = trial.config["number"], self._error(trial)
        self._study.failed_once(own, error)
        self._listener(Event("failed", own, f"failed and is tried again: {error}"))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """Note a failure that was the last one."""
        self._end(trial.config["number"], "failed", self._error(trial))

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        """Note how a trial ended that did not fail, as its run folder says; or that its recipe cannot work."""
        own = trial.config["number"]
        path = self._study.path(own)
        failure = Failure.read(path)
        summary = RunFolder(path).summary() or {}
        if failure is not None:
            self._end(own, "failed", failure.error)
        elif self._study.is_told(own):
            self._end(own, "stopped")
        else:
            self._end(own, "finished" if summary.get("status") == "finished" else "waiting")

    def _end(self, own: int, status: Status, error: str | None = None) -> None:
        self._study.end(own, status, error)
        values = self._study.values(own) if status != "failed" else None
        named = zip(self._study.plan.objectives, values or [], strict=False)
        reached = ", ".join(f"{objective.name} {number(value)}" for objective, value in named)
        words = {"stopped": "was stopped early", "waiting": "is interrupted"}.get(status, status)
        said = f"{words}: {error}" if error else f"{words} with {reached}" if reached else words
        self._listener(Event("ended", own, said))

    def _error(self, trial: Any) -> str:
        """Return why a try failed: in the run's own words where it has any."""
        failure = Failure.read(self._study.path(trial.config["number"]))
        if failure is not None:
            return failure.error
        error = trial.get_error()
        return first_line(getattr(error, "cause", None) or error) if error is not None else "no reason given"

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Ray Tune pickles its settings, and the study is no part of them."""
        return {}
