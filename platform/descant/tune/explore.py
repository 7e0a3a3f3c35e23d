"""What a member of a population goes on with after it took over a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from descant.errors import UserError
from descant.tune.schedulers import Pb2, Pbt, Population
from descant.tune.search import Params
from descant.tune.space import Choice, Dimension, Range, Space

_IN_FLIGHT = ("optimizer", "trainer.clip_norm", "trainer.mixup_alpha", "trainer.mixup_chance")
_OF_A_TASK = ("weight", "gradient")


def check_in_flight(name: str, scheduler: Population, space: Space) -> None:
    """Raise a UserError for keys that cannot change while a run trains, or that a scheduler cannot change."""
    for each in space.dimensions:
        parts = each.key.split(".")
        of_a_task = parts[0] == "tasks" and len(parts) > 2 and parts[2] in _OF_A_TASK
        allowed = each.key != "optimizer.name" and any((f"{each.key}.").startswith(f"{key}.") for key in _IN_FLIGHT)
        if not of_a_task and not allowed:
            raise UserError(
                f"{each.key!r} cannot change in the middle of a run, as {name} would have it: take it out of the "
                f"space, or take another scheduler; what can are tasks' weights and gradients, {', '.join(_IN_FLIGHT)}"
            )
        if isinstance(scheduler, Pb2) and isinstance(each, Choice):
            raise UserError(f"pb2 searches numbers alone, and {each.key!r} is a choice: give a range, or take pbt")


@dataclass(frozen=True)
class Step:
    """What a member's values did: from one comparison to its next.

    Attributes:
        epochs: at its end.
        before, after: the score, greater is better.
        length: epochs between the two.
    """

    params: Mapping[str, Any]
    epochs: float
    before: float
    after: float
    length: float


def explored(
    scheduler: Population,
    space: Space,
    donor: Params,
    steps: Sequence[Step],
    pending: Sequence[Params],
    rng: np.random.Generator,
) -> Params:
    """Return the values with which a member goes on that took over a checkpoint.

    Args:
        scheduler: how.
        space: the keys.
        donor: the values of the trial whose checkpoint it was.
        steps: what is known of all members so far.
        pending: what other members try at the moment.
        rng: what is drawn from.
    """
    if isinstance(scheduler, Pb2):
        known = [step for step in steps if math.isfinite(step.before) and math.isfinite(step.after)]
        return promising(space, known, pending, scheduler.kappa, rng) if len(known) > 2 else space.sample(rng)
    assert isinstance(scheduler, Pbt)
    return {each.key: _perturbed(each, donor[each.key], scheduler, rng) for each in space.dimensions}


def _perturbed(dimension: Dimension, value: Any, scheduler: Pbt, rng: np.random.Generator) -> Any:
    if rng.random() < scheduler.resample:
        return dimension.sample(rng)
    sign = 1 if rng.random() < 0.5 else -1
    if isinstance(dimension, Choice):
        place = dimension.index(value) + sign
        return dimension.values[min(max(place, 0), len(dimension.values) - 1)]
    if dimension.low < 0:  # a factor would keep the sign, and 0 for ever
        return dimension.clipped(value + sign * scheduler.factor * (dimension.high - dimension.low) / 2)
    moved = dimension.clipped(value * (1 + sign * scheduler.factor))
    return dimension.clipped(value + sign) if moved == value and dimension.whole else moved


def promising(
    space: Space, steps: Sequence[Step], pending: Sequence[Params], kappa: float, rng: np.random.Generator
) -> Params:
    """Return the values whose upper confidence bound is the highest: what a process of ``steps`` expects of them.

    The kernel is that of PB2: squared exponential over the values, and (1 - ε)^(Δt/2) over time t, so that what was
    learnt long ago counts less. What others try at the moment counts as if it had come out as expected, which keeps
    members from trying the same.
    """
    ranges = [each for each in space.dimensions if isinstance(each, Range)]
    x_ND = np.array([[each.unit(step.params[each.key]) for each in ranges] for step in steps])
    t_N = np.array([step.epochs for step in steps], dtype=float)
    y_N = np.array([(step.after - step.before) / step.length for step in steps])
    y_N = (y_N - y_N.mean()) / (y_N.std() + 1e-12)
    process = _Process.fitted(x_ND, t_N, y_N)
    now = float(t_N.max()) + 1.0
    for params in pending:
        at_D = np.array([each.unit(params[each.key]) for each in ranges])
        process = process.believing(at_D, now)
    candidates_CD = rng.random((1000, len(ranges)))
    mean_C, deviation_C = process.predict(candidates_CD, now)
    chosen_D = candidates_CD[int(np.argmax(mean_C + kappa * deviation_C))]
    return {each.key: each.at(float(at)) for each, at in zip(ranges, chosen_D, strict=True)}


@dataclass(frozen=True)
class _Process:
    """A Gaussian process over values and time. N steps, D keys."""

    x_ND: np.ndarray
    t_N: np.ndarray
    y_N: np.ndarray
    length: float
    forgetting: float
    noise: float

    @classmethod
    def fitted(cls, x_ND: np.ndarray, t_N: np.ndarray, y_N: np.ndarray) -> _Process:
        """Return the process under which what was seen is the likeliest."""
        bounds = ((math.log(0.05), math.log(3.0)), (-6.0, 0.0), (math.log(1e-3), 0.0))

        def loss(logs: np.ndarray) -> float:
            return cls(x_ND, t_N, y_N, *_settings(logs))._surprise()

        starts = [np.array([math.log(0.3), -2.0, math.log(0.1)]), np.array([0.0, -4.0, math.log(0.5)])]
        found = [minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in starts]
        return cls(x_ND, t_N, y_N, *_settings(min(found, key=lambda each: float(each.fun)).x))

    def believing(self, at_D: np.ndarray, t: float) -> _Process:
        """Return the process with one step more, that came out as expected."""
        mean, _ = self.predict(at_D[None], t)
        seen = np.vstack([self.x_ND, at_D]), np.append(self.t_N, t), np.append(self.y_N, mean[0])
        return _Process(*seen, self.length, self.forgetting, self.noise)

    def predict(self, at_CD: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation at each place."""
        cross_CN = self._kernel(at_CD, np.full(len(at_CD), t))
        solved_NC = np.linalg.solve(self._covariance(), cross_CN.T)
        variance_C = 1.0 - np.einsum("cn,nc->c", cross_CN, solved_NC)
        return solved_NC.T @ self.y_N, np.sqrt(np.clip(variance_C, 1e-12, None))

    def _kernel(self, at_CD: np.ndarray, t_C: np.ndarray) -> np.ndarray:
        squares_CN = ((at_CD[:, None] - self.x_ND[None]) ** 2).sum(-1)
        apart_CN = np.abs(t_C[:, None] - self.t_N[None])
        kernel_CN: np.ndarray = np.exp(-squares_CN / (2 * self.length**2)) * (1 - self.forgetting) ** (apart_CN / 2)
        return kernel_CN

    def _covariance(self) -> np.ndarray:
        return self._kernel(self.x_ND, self.t_N) + self.noise * np.eye(len(self.t_N))

    def _surprise(self) -> float:
        """Return the negative log likelihood of what was seen, up to a constant."""
        factor_NN = np.linalg.cholesky(self._covariance())
        white_N = np.linalg.solve(factor_NN, self.y_N)
        return float(0.5 * white_N @ white_N + np.log(np.diag(factor_NN)).sum())


def _settings(logs: np.ndarray) -> tuple[float, float, float]:
    """Return length, forgetting (below 1, from a logit) and noise."""
    return math.exp(logs[0]), 1 / (1 + math.exp(-logs[1])) * 0.9, math.exp(logs[2])
