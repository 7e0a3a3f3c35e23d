"""What proposes the values of the next trial: at random, a grid, or by optuna from the trials before."""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from descant.errors import UserError
from descant.registry import Registry
from descant.tune.objective import Objective
from descant.tune.space import Choice, Space

Params = dict[str, Any]
"""A value of each key of a space."""


class Search(ABC):
    """Proposes trials.

    Args:
        space: what is searched.
        objectives: what makes a trial good.
        seed: of all that is drawn.

    Attributes:
        learns: whether it goes by the trials before.
    """

    learns = False

    def __init__(self, *, space: Space, objectives: Sequence[Objective], seed: int) -> None:
        self.space, self.objectives, self.seed = space, tuple(objectives), seed

    @abstractmethod
    def propose(self, number: int) -> Params:
        """Return the values of trial ``number``."""

    def tell(self, number: int, params: Params, values: Sequence[float] | None) -> None:  # noqa: B027
        """Take note of how trial ``number`` ended: a value of each objective, None where it failed."""

    def limit(self) -> int | None:
        """Return how many trials there are at most, None where there is no end."""
        return None


searches: Registry[Search] = Registry("search", "tune_searches")


@searches.register("random")
class RandomSearch(Search):
    """Each trial on its own: what it gets hangs on the seed and its number alone."""

    def propose(self, number: int) -> Params:
        """Draw the values of trial ``number``."""
        return self.space.sample(np.random.default_rng([self.seed, number]))


@searches.register("grid")
class GridSearch(Search):
    """Every combination once, the last key varying fastest."""

    def __init__(self, *, space: Space, objectives: Sequence[Objective], seed: int) -> None:
        super().__init__(space=space, objectives=objectives, seed=seed)
        without = [each.key for each in space.dimensions if each.points() is None]
        if without:
            raise UserError(
                f"a grid search cannot count the values of {', '.join(without)}: give them as {{grid: […]}}, or take "
                f"tune.search=tpe"
            )

    def propose(self, number: int) -> Params:
        """Return the point ``number`` of the grid."""
        points = itertools.product(*(each.points() or [] for each in self.space.dimensions))
        return dict(zip(self.space.keys, next(itertools.islice(points, number, None)), strict=True))

    def limit(self) -> int | None:
        """Return the number of points."""
        return int(np.prod([len(each.points() or []) for each in self.space.dimensions]))


class OptunaSearch(Search):
    """Optuna's sampler, told of every trial that has ended, here or in another study.

    Args:
        startup: trials at random before anything is learnt; None: as many as the kind of search needs.
    """

    learns = True

    def __init__(self, *, space: Space, objectives: Sequence[Objective], seed: int, startup: int | None = None) -> None:
        super().__init__(space=space, objectives=objectives, seed=seed)
        if startup is not None and startup < 1:
            raise UserError(f"tune.search has startup {startup}: give a whole number from 1")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._directions: list[Any] = ["maximize" if each.direction == "max" else "minimize" for each in objectives]
        self._startup = startup
        self._distributions = {each.key: _distribution(each) for each in space.dimensions}
        self._asked: dict[int, Any] = {}
        self._study: Any = None
        self._told: list[tuple[Params, Sequence[float]]] = []

    def propose(self, number: int) -> Params:
        """Ask the sampler."""
        trial = self._open().ask(self._distributions)
        self._asked[number] = trial
        return {each.key: _from_optuna(each, trial.params[each.key]) for each in self.space.dimensions}

    def tell(self, number: int, params: Params, values: Sequence[float] | None) -> None:
        """Tell the sampler; of a trial that it has not proposed in this process, all there is to know."""
        import optuna

        trial = self._asked.pop(number, None)
        finite = values is not None and bool(np.isfinite(values).all())
        if trial is not None:
            state = optuna.trial.TrialState.COMPLETE if finite else optuna.trial.TrialState.FAIL
            self._study.tell(trial, list(values) if finite and values is not None else None, state=state)
        elif finite and values is not None:
            self._told.append((params, values))
            if self._study is not None:
                self._add(params, values)

    def _open(self) -> Any:
        """Return the study; it begins at the first question, so that its draws go by how much is known then."""
        if self._study is None:
            import optuna

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                sampler = self._sampler(self.seed + len(self._told))
            self._study = optuna.create_study(directions=self._directions, sampler=sampler)
            for params, values in self._told:
                self._add(params, values)
        return self._study

    def _sampler(self, seed: int) -> Any:
        import optuna

        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, constant_liar=True, n_startup_trials=self._startup or 10
        )

    def _add(self, params: Params, values: Sequence[float]) -> None:
        import optuna

        known = {each.key: _to_optuna(each, params[each.key]) for each in self.space.dimensions}
        trial = optuna.trial.create_trial(params=known, distributions=self._distributions, values=list(values))
        self._study.add_trial(trial)


@searches.register("tpe")
class Tpe(OptunaSearch):
    """Tree-structured Parzen estimators (Bergstra et al. 2011) of all keys together, for one metric."""


@searches.register("multi")
class MultiObjective(OptunaSearch):
    """The same for several metrics at once: what the front of the tasks is made of (Ozaki et al. 2022)."""


def _distribution(dimension: Any) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        indices = range(len(dimension.values))
        return IntDistribution(0, len(indices) - 1) if dimension.ordered else CategoricalDistribution(tuple(indices))
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high))
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _from_optuna(dimension: Any, value: Any) -> Any:
    return dimension.values[value] if isinstance(dimension, Choice) else dimension.clipped(value)


def _to_optuna(dimension: Any, value: Any) -> Any:
    return dimension.index(value) if isinstance(dimension, Choice) else value
