"""Ray Tune's schedulers, which decide over a study's trials through files in their run folders.

A trial that is to stop is told so, writes a checkpoint and ends; one that is to take over a checkpoint finds it handed
over, and goes on in its process. Ray Tune would end the process at either, and start it again for the latter. What was
decided is on the disk before the trial hears of it, and is not lost with any process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)
from ray.tune.schedulers.pbt import _PBTTrialState

from descant.tune.population import Members
from descant.tune.progress import Event, Listener
from descant.tune.schedulers import Asha, Median, Population
from descant.tune.sentences import settings as told
from descant.tune.study import Study
from descant_cluster.tune.trial import WORST

_BY: dict[str, Any] = {"time_attr": "epochs", "metric": "score", "mode": "max"}


@dataclass(frozen=True)
class _Past:
    """A trial that has ended before, in the place of Ray Tune's."""

    trial_id: str


class _Telling:
    """Tells a trial to stop, where the scheduler beside it among the bases would have Ray Tune end it.

    What trials did before the study went on counts as if it happened now.
    """

    study: Study

    def begin(self, study: Study) -> None:
        """Take note of the trials that have ended."""
        self.study = study
        for trial in study.ended:
            if trial.status != "failed":
                past = _Past(f"past-{trial.number}")
                super().on_trial_add(None, past)  # type: ignore[misc]
                self._replay(past, trial.number)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)  # type: ignore[misc]
        self._replay(trial, trial.config["number"])

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        number = trial.config["number"]
        if self.study.is_told(number):
            return TrialScheduler.CONTINUE
        decision: str = super().on_trial_result(tune_controller, trial, result)  # type: ignore[misc]
        if decision == TrialScheduler.STOP and result["epochs"] < self.study.plan.epochs:
            self.study.stop_trial(number)
        return TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if "epochs" in result:
            super().on_trial_complete(tune_controller, trial, result)  # type: ignore[misc]

    def _replay(self, trial: Any, number: int) -> None:
        objective = self.study.plan.objectives[0]
        for evaluation in self.study.evaluations(number):
            score = max(objective.score(evaluation.of(objective)), WORST)
            super().on_trial_result(None, trial, {"epochs": evaluation.epochs, "score": score})  # type: ignore[misc]

    def __getstate__(self) -> dict[str, Any]:
        return {}


class AshaScheduler(_Telling, AsyncHyperBandScheduler):
    """Asynchronous successive halving."""


class MedianScheduler(_Telling, MedianStoppingRule):
    """The median stopping rule."""


class PopulationScheduler(PopulationBasedTraining):
    """Population based training, and bandits: who copies whom is Ray Tune's to say, with which values the study's."""

    def __init__(self, study: Study, settings: Population, listener: Listener) -> None:
        super().__init__(
            **_BY,
            perturbation_interval=settings.every_epochs,
            quantile_fraction=settings.quantile,
            custom_explore_fn=dict,
            log_config=False,
        )
        self._study, self._members, self._listener = study, Members(study), listener
        self._rng = np.random.default_rng([study.plan.settings.seed, len(study.trials)])

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take a member in; the base class refuses those that a searcher proposes, for it would not hear of changes."""
        self._trial_state[trial] = _PBTTrialState(trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Compare; a member never waits for others, since all train side by side."""
        super().on_trial_result(tune_controller, trial, result)
        return TrialScheduler.CONTINUE

    def _checkpoint_or_exploit(
        self, trial: Any, tune_controller: Any, upper_quantile: list[Any], lower_quantile: list[Any]
    ) -> None:
        state, number = self._trial_state[trial], trial.config["number"]
        assert state.last_score is not None
        self._members.compared(number, state.last_train_time, state.last_score)
        if trial not in lower_quantile or state.last_train_time >= self._study.plan.epochs:
            return
        donor = upper_quantile[int(self._rng.integers(len(upper_quantile)))]
        params = self._members.exchange(number, donor.config["number"])
        if params is None:
            return
        state.last_perturbation_time = self._trial_state[donor].last_perturbation_time
        text = f"goes on from trial {donor.config['number']} after epoch {state.last_train_time}: {told(params)}"
        self._listener(Event("exchanged", number, text))

    def __getstate__(self) -> dict[str, Any]:
        return {}


def make_scheduler(study: Study, listener: Listener) -> TrialScheduler:
    """Return Ray Tune's scheduler of a study."""
    settings = study.plan.settings.scheduler
    if isinstance(settings, Population):
        return PopulationScheduler(study, settings, listener)
    if isinstance(settings, Asha):
        asha = AshaScheduler(
            **_BY,
            max_t=max(study.plan.epochs, settings.grace_epochs),
            grace_period=settings.grace_epochs,
            reduction_factor=settings.factor,
            stop_last_trials=False,
        )
        asha.begin(study)
        return asha
    if isinstance(settings, Median):
        median = MedianScheduler(
            **_BY,
            grace_period=settings.grace_epochs,
            min_samples_required=settings.min_trials,
            min_time_slice=math.inf,  # type: ignore[arg-type]  # it would pause trials for those that wait
        )
        median.begin(study)
        return median
    return FIFOScheduler()  # type: ignore[no-untyped-call]
