from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from descant.compare.statistics import finite, mean_interval, paired_difference, t_quantile, verdict, within

numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))
samples = st.lists(numbers, min_size=2, max_size=12)


def test_the_interval_is_the_textbook_one() -> None:
    # By hand: mean 0.459, s = 0.039 for three values, t(0.975, 2) = 4.302653 from printed tables.
    estimate = mean_interval([0.42, 0.459, 0.498])
    assert estimate is not None and estimate.low is not None and estimate.high is not None
    assert estimate.mean == pytest.approx(0.459)
    assert estimate.high - estimate.mean == pytest.approx(4.302653 * 0.039 / math.sqrt(3), rel=1e-6)
    assert estimate.mean - estimate.low == pytest.approx(4.302653 * 0.039 / math.sqrt(3), rel=1e-6)


@pytest.mark.parametrize(("degrees", "printed"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (29, 2.045)])
def test_quantiles_are_those_of_printed_tables(degrees: int, printed: float) -> None:
    assert t_quantile(degrees) == pytest.approx(printed, abs=5e-4)


@settings(deadline=None)  # the first call imports scipy
@given(samples, st.data())
def test_the_pairs_agree_with_scipy(values: list[float], data: st.DataObject) -> None:
    others = data.draw(st.lists(numbers, min_size=len(values), max_size=len(values)))
    differences = [a - b for a, b in zip(values, others, strict=True)]
    if max(differences) - min(differences) < 1e-3:
        return  # scipy warns of lost digits there; the exact case has its own test
    ours = paired_difference(dict(enumerate(values)), dict(enumerate(others)))
    theirs = stats.ttest_rel(values, others)
    bounds = theirs.confidence_interval(0.95)
    assert ours is not None
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert (ours.low, ours.high) == pytest.approx((bounds.low, bounds.high), rel=1e-6, abs=1e-6)


@settings(deadline=None)  # the first call imports scipy
@given(samples, numbers)
def test_the_interval_moves_with_the_values(values: list[float], shift: float) -> None:
    plain, moved = mean_interval(values), mean_interval([value + shift for value in values])
    assert plain is not None and moved is not None and plain.low is not None and plain.high is not None
    assert plain.low <= plain.mean <= plain.high
    assert (moved.mean, moved.low, moved.high, moved.median) == pytest.approx(
        (plain.mean + shift, plain.low + shift, plain.high + shift, plain.median + shift), abs=1e-6
    )


@settings(deadline=None)  # the first call imports scipy
@given(samples, st.data())
def test_swapping_the_arms_turns_the_verdict(values: list[float], data: st.DataObject) -> None:
    others = data.draw(st.lists(numbers, min_size=len(values), max_size=len(values)))
    forth = paired_difference(dict(enumerate(values)), dict(enumerate(others)))
    back = paired_difference(dict(enumerate(others)), dict(enumerate(values)))
    assert forth is not None and back is not None
    assert (forth.mean, forth.p) == (pytest.approx(-back.mean), pytest.approx(back.p))
    turned = {"better": "worse", "worse": "better", "no clear difference": "no clear difference"}
    assert verdict(forth, "max") == turned[verdict(back, "max")] == verdict(back, "min")


def test_one_value_has_no_interval_and_too_few_seeds() -> None:
    estimate, difference = mean_interval([0.5]), paired_difference({3: 0.5}, {3: 0.25})
    assert estimate is not None and (estimate.n, estimate.mean, estimate.low, estimate.high) == (1, 0.5, None, None)
    assert difference is not None and (difference.mean, difference.low, difference.p) == (0.25, None, None)
    assert verdict(difference, "max") == "too few seeds"


@pytest.mark.parametrize(("shift", "p", "said"), [(0.0, 1.0, "no clear difference"), (0.5, 0.0, "better")])
def test_differences_without_spread_are_exact(shift: float, p: float, said: str) -> None:
    difference = paired_difference({seed: seed + shift for seed in range(4)}, {seed: float(seed) for seed in range(4)})
    assert difference is not None
    assert (difference.mean, difference.low, difference.high, difference.p) == (shift, shift, shift, p)
    assert verdict(difference, "max") == said


def test_only_seeds_that_both_have_make_pairs() -> None:
    arm = {0: 1.0, 1: math.nan, 2: 3.0, 3: None, 4: 5.0, 5: math.inf}
    difference = paired_difference(arm, {0: 0.0, 1: 0.0, 2: 1.0, 3: 0.0, 7: 0.0})
    assert difference is not None and (difference.n, difference.mean, difference.median) == (2, 1.5, 1.5)
    assert finite(arm) == {0: 1.0, 2: 3.0, 4: 5.0}
    assert paired_difference({0: 1.0}, {1: 1.0}) is None and mean_interval([]) is None
    assert verdict(None, "max") == "not in both arms"


def test_without_a_direction_the_verdict_says_where_it_lies() -> None:
    difference = paired_difference({0: 2.0, 1: 3.0}, {0: 1.0, 1: 2.0})
    assert verdict(difference, None) == "higher"


def test_an_interval_is_cut_at_bounds_that_hold_its_mean() -> None:
    estimate = mean_interval([0.1, 0.9])
    assert estimate is not None and estimate.low is not None and estimate.low < 0.0
    cut = within(estimate, (0.0, 1.0))
    assert (cut.low, cut.high, cut.mean) == (0.0, 1.0, estimate.mean)
    assert within(estimate, None) == estimate == within(estimate, (2.0, 3.0))
    one = mean_interval([0.5])
    assert one is not None and within(one, (0.0, 1.0)) == one
