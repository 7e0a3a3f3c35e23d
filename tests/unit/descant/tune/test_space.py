"""The search space: what it draws, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descant.errors import UserError
from descant.tune.space import Choice, Range, Space


def a_range(kind: str, low: float, width: float) -> Range:
    """Any range that a recipe may hold."""
    whole = kind == "integer"
    low = round(low) if whole else abs(low) + 1e-6 if kind == "loguniform" else low
    dimension = Space.parse({"optimizer.lr": {kind: [low, low + (1 + round(width) if whole else width)]}}).dimensions[0]
    assert isinstance(dimension, Range)
    return dimension


# What is drawn for a range; it is made in the test, since the checks of types draw at random themselves.
RANGES = st.tuples(st.sampled_from(["uniform", "loguniform", "integer"]), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))


@given(RANGES, st.integers(0, 2**32), st.floats(-0.5, 1.5))
def test_what_a_range_gives_is_within_it(drawn: tuple[str, float, float], seed: int, unit: float) -> None:
    dimension, rng = a_range(*drawn), np.random.default_rng(seed)
    for value in (dimension.sample(rng), dimension.at(unit), dimension.clipped(unit * 1e9)):
        assert dimension.holds(value)
        assert isinstance(value, int) == dimension.whole


@given(RANGES, st.floats(0, 1))
def test_unit_and_at_are_each_others_inverse(drawn: tuple[str, float, float], unit: float) -> None:
    dimension = a_range(*drawn)
    if not dimension.whole:
        assert dimension.unit(dimension.at(unit)) == pytest.approx(unit, abs=1e-3)
    assert dimension.unit(dimension.low) == pytest.approx(0, abs=1e-9)
    assert dimension.unit(dimension.high) == pytest.approx(1)


def test_a_range_is_drawn_from_evenly_on_its_own_scale() -> None:
    space = Space.parse({"a": {"uniform": [-1, 3]}, "b": {"loguniform": [0.01, 100]}, "c": {"integer": [2, 5]}})
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(4000)]
    a, b = np.array([each["a"] for each in drawn]), np.log10([each["b"] for each in drawn])
    assert a.mean() == pytest.approx(1, abs=0.06) and a.std() == pytest.approx(4 / 12**0.5, abs=0.05)
    assert b.mean() == pytest.approx(0, abs=0.06) and b.std() == pytest.approx(4 / 12**0.5, abs=0.05)
    counts = np.bincount([each["c"] for each in drawn], minlength=6)
    assert counts[:2].sum() == 0 and counts[2:].min() > 850


def test_keys_may_be_dotted_or_nested() -> None:
    dotted = Space.parse({"tasks.smile.weight": {"uniform": [0, 1]}, "optimizer.lr": {"grid": [1e-3, 1e-2]}})
    nested = Space.parse(
        {"tasks": {"smile": {"weight": {"uniform": [0, 1]}}}, "optimizer": {"lr": {"grid": [1e-3, 1e-2]}}}
    )
    assert dotted == nested
    assert dotted.keys == ["tasks.smile.weight", "optimizer.lr"]
    assert Space.parse(dotted.plain()) == dotted


def test_a_choice_may_be_of_mappings() -> None:
    values = ["static", {"name": "dwa", "temperature": 2.0}]
    (choice,) = Space.parse({"balance": {"choice": values}}).dimensions
    assert isinstance(choice, Choice) and choice.index(values[1]) == 1 and choice.points() == values


def test_corners_hold_each_end_and_each_value() -> None:
    space = Space.parse({"a": {"uniform": [0, 1]}, "b": {"choice": ["x", "y", "z"]}, "c": {"integer": [3, 9]}})
    corners = space.corners()
    assert {corner["b"] for corner in corners} == {"x", "y", "z"}
    assert {corner["a"] for corner in corners} == {0, 1} and {corner["c"] for corner in corners} == {3, 9}
    assert all(space.holds(corner) for corner in corners)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({}, "is empty"),
        (None, "is empty"),
        ([1], "give keys of the recipe"),
        ({"optimizer.lr": 3}, "give one of uniform"),
        ({"optimizer.lr": {"uniform": []}}, "is empty"),
        ({"optimizer.lr": {"uniform": [1, 1]}}, "is empty"),
        ({"optimizer.lr": {"uniform": [2, 1]}}, "is reversed"),
        ({"optimizer.lr": {"uniform": [1]}}, "two numbers"),
        ({"optimizer.lr": {"uniform": [0, float("inf")]}}, "two numbers"),
        ({"optimizer.lr": {"uniform": [False, True]}}, "two numbers"),
        ({"optimizer.lr": {"loguniform": [0, 1]}}, "above 0"),
        ({"trainer.epochs": {"integer": [1, 2.5]}}, "two whole numbers"),
        ({"optimizer.lr": {"choice": []}}, "is empty"),
        ({"optimizer.lr": {"choice": "ab"}}, "is empty"),
        ({"optimizer.lr": {"choice": [1, 2, 1]}}, "one value twice"),
        ({"optimizer.lr": {"unifrom": [0, 1]}}, "did you mean 'uniform'"),
        ({"optimizer.lr": {"uniform": [0, 1], "choice": [1]}}, "give one of"),
        ({"run.workers": {"choice": [1, 2]}}, "same in all trials"),
        ({"seed": {"choice": [1, 2]}}, "same in all trials"),
        ({"balance": {"choice": ["a", "b"]}, "balance.every": {"integer": [1, 2]}}, "set the same"),
    ],
)
def test_a_space_without_a_meaning_is_refused_in_one_sentence(space: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Space.parse(space)
