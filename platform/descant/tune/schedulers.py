"""Which trials go on: settings of the schedulers, by the names that a recipe's ``tune.scheduler`` takes.

All count epochs, and compare trials by the study's first metric at their evaluations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from descant.errors import UserError
from descant.registry import Registry


@dataclass(frozen=True)
class Scheduler:
    """How trials are compared while they train.

    Attributes:
        compares: whether it needs an evaluation before a trial's end.
        is_population: whether its trials train side by side and take over each other's checkpoints.
    """

    compares: ClassVar[bool] = True
    is_population: ClassVar[bool] = False

    @property
    def first_epoch(self) -> int:
        """After how many epochs it first compares a trial."""
        return 1


schedulers: Registry[Scheduler] = Registry("scheduler", "tune_schedulers")


@schedulers.register("none")
@dataclass(frozen=True)
class NoScheduler(Scheduler):
    """Every trial trains to its end."""

    compares: ClassVar[bool] = False


@schedulers.register("asha")
@dataclass(frozen=True)
class Asha(Scheduler):
    """Successive halving without waiting (Li et al. 2020): at each rung the best 1/factor so far go on.

    Attributes:
        grace_epochs: the first rung; the others are factor times further each.
        factor: how many trials come to a rung for one that goes on.
    """

    grace_epochs: int = 1
    factor: int = 3

    @property
    def first_epoch(self) -> int:
        """After how many epochs it first compares a trial."""
        return self.grace_epochs

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        _at_least("asha", "grace_epochs", self.grace_epochs, 1)
        _at_least("asha", "factor", self.factor, 2)


@schedulers.register("median")
@dataclass(frozen=True)
class Median(Scheduler):
    """Stops a trial whose best value is worse than the median of the others' means so far (Golovin et al. 2017).

    Attributes:
        grace_epochs: epochs that each trial trains.
        min_trials: others that have come as far before anything is stopped.
    """

    grace_epochs: int = 1
    min_trials: int = 3

    @property
    def first_epoch(self) -> int:
        """After how many epochs it first compares a trial."""
        return self.grace_epochs

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        _at_least("median", "grace_epochs", self.grace_epochs, 1)
        _at_least("median", "min_trials", self.min_trials, 1)


@dataclass(frozen=True)
class Population(Scheduler):
    """Trials side by side; the worst take over checkpoints of the best, and go on with other values.

    Attributes:
        every_epochs: epochs from one comparison of a trial to its next.
        quantile: the share of trials that are the worst, and of those that are the best.
    """

    every_epochs: int = 1
    quantile: float = 0.25
    is_population: ClassVar[bool] = True

    @property
    def first_epoch(self) -> int:
        """After how many epochs it first compares a trial."""
        return self.every_epochs

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        _at_least("this scheduler", "every_epochs", self.every_epochs, 1)
        if not 0 < self.quantile <= 0.5:
            raise UserError(f"the scheduler's quantile is {self.quantile:g}: give a share above 0, up to 0.5")


@schedulers.register("pbt")
@dataclass(frozen=True)
class Pbt(Population):
    """Population based training (Jaderberg et al. 2017): values are multiplied by a factor, or drawn anew.

    Attributes:
        resample: how likely a value is drawn anew.
        factor: a value is multiplied by 1 + factor or by 1 - factor.
    """

    resample: float = 0.25
    factor: float = 0.2

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        super().__post_init__()
        if not 0 <= self.resample <= 1 or not 0 < self.factor < 1:
            raise UserError(f"pbt has resample {self.resample:g} and factor {self.factor:g}: give shares from 0 to 1")


@schedulers.register("pb2")
@dataclass(frozen=True)
class Pb2(Population):
    """Population based bandits (Parker-Holder et al. 2020): a Gaussian process says which values promise most.

    Attributes:
        kappa: standard deviations that are added to what is expected: the greater, the more is tried out.
    """

    kappa: float = 2.0

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        super().__post_init__()
        if not self.kappa >= 0:
            raise UserError(f"pb2 has kappa {self.kappa:g}: give a number from 0")


def _at_least(name: str, option: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"{name} has {option} {value}: give a whole number from {least}")
