"""The study's trials, as Ray Tune asks for them."""

from __future__ import annotations

from typing import Any

from ray.tune.search import Searcher

from descant.tune.progress import Event, Listener
from descant.tune.sentences import settings
from descant.tune.study import Study


class StudySearcher(Searcher):
    """Gives Ray Tune the trials of a study, first those that were begun before.

    Args:
        study: which proposes them and remembers them: Ray Tune's own record is not needed to go on.
        given: what each trial's configuration holds beside its job.
        listener: told of each that begins.
    """

    def __init__(self, study: Study, given: dict[str, Any], listener: Listener) -> None:
        super().__init__(metric="score", mode="max")
        self._study, self._given, self._listener = study, given, listener

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial's configuration."""
        job = None if self._study.is_stopping() else self._study.next()
        if job is None:
            return Searcher.FINISHED
        goes_on = "goes on" if self._study.trials[job.number].attempts > 1 else "begins"
        values = settings(self._study.params_now(job.number))
        self._listener(Event("began", job.number, f"{goes_on}: {values}"))
        return {**self._given, "number": job.number, "job": job.to_json()}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Do nothing: the study hears of it as the run folder has it."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study is on the disk."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: nothing is restored."""

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Ray Tune pickles its settings, and the study is no part of them."""
        return {}
