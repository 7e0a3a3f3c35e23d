"""The front, importance, and which evaluation a trial is judged by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descant.tune.importance import importance
from descant.tune.objective import Evaluation, Objective, best, evaluations
from descant.tune.results import pareto
from descant.tune.space import Space

ROWS = st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=12)


@given(ROWS)
def test_the_front_is_what_no_other_row_beats(rows: list[tuple[int, ...]]) -> None:
    def beats(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
        return all(a >= b for a, b in zip(one, other, strict=True)) and one != other

    expected = [at for at, row in enumerate(rows) if not any(beats(other, row) for other in rows)]
    assert pareto(rows) == expected


def test_a_row_without_a_number_is_not_on_the_front() -> None:
    assert pareto([[1.0, -math.inf], [0.0, 0.0]]) == [1]


def test_evaluations_are_those_of_validation_alone() -> None:
    row = {"epoch": 0, "step": 3, "split": "validation", "task": "a", "metric": "accuracy", "value": 0.5}
    rows = [
        row,
        {**row, "split": "test", "value": 0.9},
        {**row, "metric": "loss", "value": None},
        {**row, "task": None},
    ]
    found = evaluations(rows)
    assert [(each.epochs, each.step) for each in found] == [(1, 3)]
    assert found[0].values["a.accuracy"] == 0.5 and math.isnan(found[0].values["a.loss"])


def test_the_best_evaluation_goes_by_direction_and_nan_is_the_worst() -> None:
    course = [Evaluation(epoch, epoch, {"a.loss": value}) for epoch, value in enumerate([math.nan, 0.5, 0.2, 0.2, 0.9])]
    least, most = best(course, Objective("a", "loss", "min")), best(course, Objective("a", "loss", "max"))
    assert least is not None and least.epochs == 2
    assert most is not None and most.epochs == 4
    assert best([], Objective("a", "loss", "min")) is None


SPACE = Space.parse(
    {"up": {"loguniform": [1e-3, 1e3]}, "hill": {"uniform": [0, 1]}, "kind": {"choice": ["a", "b", "c"]},
     "nothing": {"uniform": [0, 1]}}
)  # fmt: skip


def study(of: str, count: int, seed: int = 0) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    params = [SPACE.sample(rng) for _ in range(count)]
    score = {
        "up": lambda each: math.log(each["up"]),
        "hill": lambda each: -((each["hill"] - 0.5) ** 2),
        "kind": lambda each: {"a": 0.0, "b": 3.0, "c": 1.0}[each["kind"]],
        "nothing": lambda each: 0.0,
    }[of]
    return importance(SPACE, params, [score(each) + 0.01 * rng.normal() for each in params])


@pytest.mark.parametrize("key", ["up", "hill", "kind"])
def test_the_key_that_decides_has_nearly_all_importance(key: str) -> None:
    found = study(key, 40)
    assert next(iter(found)) == key and found[key] > 0.7
    assert all(share < 0.25 for name, share in found.items() if name != key)


def test_a_key_without_influence_has_none_on_average() -> None:
    shares = [share for seed in range(60) for share in study("nothing", 15, seed).values()]
    assert np.mean(shares) < 0.08


def test_an_infinite_score_is_a_rank_like_others_and_few_trials_say_nothing() -> None:
    rng = np.random.default_rng(0)
    params = [SPACE.sample(rng) for _ in range(20)]
    scores = [math.log(each["up"]) if each["up"] < 100 else -math.inf for each in params]
    assert importance(SPACE, params, scores)["up"] > 0.2
    assert importance(SPACE, params[:5], scores[:5]) == {}
    assert importance(SPACE, params, [1.0] * 20) == {}
