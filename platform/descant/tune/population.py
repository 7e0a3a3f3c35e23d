"""A population: what its members did, and which values a member goes on with when it takes over a checkpoint."""

from __future__ import annotations

import numpy as np

from descant.tune.exchange import hand_over, record
from descant.tune.explore import Step, explored
from descant.tune.schedulers import Population
from descant.tune.search import Params
from descant.tune.study import Study


class Members:
    """The members of a study's population.

    Args:
        study: whose trials they are.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._steps: list[Step] = []
        self._compared: dict[int, tuple[float, float]] = {}

    def compared(self, number: int, epochs: float, score: float) -> None:
        """Note what a member's values did since it was compared last."""
        before = self._compared.get(number)
        self._compared[number] = (epochs, score)
        if before is not None and epochs > before[0]:
            params = self._study.params_now(number)
            self._steps.append(Step(params, epochs, before[1], score, epochs - before[0]))

    def exchange(self, number: int, donor: int) -> Params | None:
        """Let a member go on from ``donor``'s checkpoint with other values; return these, None where it cannot."""
        study, plan = self._study, self._study.plan
        scheduler = plan.settings.scheduler
        assert isinstance(scheduler, Population)
        seed = [plan.settings.seed, number, len(record(study.path(number)).get("changes", []))]
        others = [study.params_now(each.number) for each in study.trials if each.number != number]
        rng = np.random.default_rng(seed)
        params = explored(scheduler, plan.settings.space, study.params_now(donor), self._steps, others, rng)
        recipe = study.recipe_of(number, params)
        if not hand_over(study.path(donor), study.path(number), params, recipe, plan.epochs):
            return None
        if donor in self._compared:
            self._compared[number] = self._compared[donor]
        return params
