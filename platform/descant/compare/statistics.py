"""Means, paired differences and verdicts: what a handful of seeds can say about two arms.

Every interval is Student's t at 95 % unless told otherwise; it speaks of one comparison and is not corrected for the
number of comparisons made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal, TypeVar

Direction = Literal["max", "min"]
Verdict = Literal[
    "baseline", "better", "worse", "higher", "lower", "no clear difference", "too few seeds", "not in both arms"
]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds: ``n`` values; ``low`` and ``high`` bound the mean, None where n < 2 gives no interval."""

    n: int
    mean: float
    low: float | None
    high: float | None
    median: float


@dataclass(frozen=True)
class PairedDifference:
    """Arm minus baseline over the seeds that both have; ``p`` is the two-sided paired t-test's, None where n < 2."""

    n: int
    mean: float
    low: float | None
    high: float | None
    median: float
    p: float | None


def finite(values: Mapping[int, float | None]) -> dict[int, float]:
    """Return the values by seed without the missing, NaN and infinite ones, in order of seed."""
    return {seed: value for seed, value in sorted(values.items()) if value is not None and math.isfinite(value)}


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Estimate | None:
    """Return the mean of finite ``values`` with its t interval: mean ± t(n - 1)·s/√n; None when there are no values.

    One value has no interval; values without spread have the interval [mean, mean].
    """
    if not values:
        return None
    mean, error = _mean_and_error(values)
    if error is None:
        return Estimate(1, mean, None, None, median(values))
    half = t_quantile(len(values) - 1, confidence) * error
    return Estimate(len(values), mean, mean - half, mean + half, median(values))


def paired_difference(
    arm: Mapping[int, float | None], baseline: Mapping[int, float | None], confidence: float = 0.95
) -> PairedDifference | None:
    """Return the mean of arm minus baseline over the seeds at which both are finite; None when they share no seed.

    Differences without spread are exact: p is 1 when they are zero, else 0.
    """
    left, right = finite(arm), finite(baseline)
    differences = [left[seed] - right[seed] for seed in left if seed in right]
    estimate = mean_interval(differences, confidence)
    if estimate is None:
        return None
    p = _two_sided_p(differences)
    return PairedDifference(estimate.n, estimate.mean, estimate.low, estimate.high, estimate.median, p)


Bounded = TypeVar("Bounded", Estimate, PairedDifference)


def within(estimate: Bounded, bounds: tuple[float, float] | None) -> Bounded:
    """Return it with its interval cut at the bounds of what is possible, for display; t intervals know of none.

    A mean that is out of bounds shows that these are not its bounds: nothing is cut then.
    """
    if bounds is None or estimate.low is None or estimate.high is None:
        return estimate
    least, greatest = bounds
    if not least <= estimate.mean <= greatest:
        return estimate
    return replace(estimate, low=max(least, estimate.low), high=min(greatest, estimate.high))


def verdict(difference: PairedDifference | None, direction: Direction | None) -> Verdict:
    """Say in plain words what the interval of the paired difference shows.

    An interval that holds zero shows no clear difference. Without a known direction a clear difference is "higher" or
    "lower" instead of "better" or "worse".
    """
    if difference is None:
        return "not in both arms"
    if difference.low is None or difference.high is None:
        return "too few seeds"
    if difference.low <= 0.0 <= difference.high:
        return "no clear difference"
    higher = difference.low > 0.0
    if direction is None:
        return "higher" if higher else "lower"
    return "better" if higher == (direction == "max") else "worse"


def t_quantile(degrees: int, confidence: float = 0.95) -> float:
    """Return t with P(|T| ≤ t) = ``confidence`` for Student's T of ``degrees`` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + confidence / 2))


def _mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and its standard error (None for a single value); equal values have an error of exactly 0."""
    if min(values) == max(values):
        return values[0], (0.0 if len(values) > 1 else None)
    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return mean, math.sqrt(variance / count)


def _two_sided_p(differences: Sequence[float]) -> float | None:
    mean, error = _mean_and_error(differences)
    if error is None:
        return None
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(len(differences) - 1, -abs(mean / error)))
