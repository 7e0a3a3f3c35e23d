"""Patience on curves that are counted by hand."""

from __future__ import annotations

import math
from typing import Literal

import pytest

from descant.errors import UserError
from descant.stopping import Curves, rules
from descant.stopping.patience import Patience

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("losses", "min_delta", "expected"),
    [
        ([], 0, None),
        ([3], 0, 0),  # the first number improves on nothing
        ([3, 2, 1], 0, 0),
        ([3, 2, 2], 0, 1),  # equal is no improvement
        ([3, 1, 2, 1.5, 1], 0, 3),  # best at the second of five
        ([1, 2, 3, 4, 5, 6], 0, 5),
        ([1, 2, 3, 0.5, 4], 0, 1),  # an improvement starts the count anew
        ([1, 0.9, 0.8], 0.15, 0),  # 0.2 below 1, in two steps
        ([1, 0.9, 0.86], 0.15, 2),  # 0.14 below 1
        ([2, 1.5, 1], 0.5, 0),  # by 0.5 is not more; by 1 is
        ([2, 1.5], 0.5, 1),
        ([2, 1, NAN, NAN], 0, 2),  # NaN never improves
        ([NAN, 2, 1], 0, 0),
        ([NAN, NAN, NAN], 0, None),  # nothing is known: nothing is said
        ([2, -INF, INF, 1], 0, 0),  # infinity is no improvement, and nothing to improve on
        ([-1, -2, -1.5], 0, 1),
    ],
)
def test_evaluations_since_the_loss_improved(losses: list[float], min_delta: float, expected: float | None) -> None:
    assert Patience(min_delta=min_delta).measure(Curves(validation_loss=losses)) == expected


@pytest.mark.parametrize(
    ("direction", "metric", "expected"),
    [
        ("max", [0.5, 0.6, 0.7], 0),
        ("max", [0.5, 0.7, 0.6], 1),
        ("max", [0.7, 0.6, 0.5], 2),
        ("max", [0.5, NAN, 0.4], 2),
        ("min", [0.5, 0.6, 0.7], 2),
        ("min", [0.7, 0.6, 0.5], 0),
    ],
)
def test_the_metric_improves_in_its_own_direction(
    direction: Literal["max", "min"], metric: list[float], expected: float
) -> None:
    curves = Curves(direction, validation_loss=[1.0] * len(metric), metric=metric)
    assert Patience(watch="metric").measure(curves) == expected


@pytest.mark.parametrize("direction", ["max", "min"])
def test_the_loss_is_better_below_whichever_way_the_metric_is(direction: Literal["max", "min"]) -> None:
    assert Patience().measure(Curves(direction, validation_loss=[3, 2, 1])) == 0


def test_it_stops_after_as_many_evaluations_as_it_has_patience() -> None:
    rule = rules.build("patience", {"patience": 3})
    losses = [2.0, 1.0, 1.1, 1.2, 1.3]  # the best is the second; three follow
    stops = []
    for count in range(1, len(losses) + 1):
        measure = rule.measure(Curves(validation_loss=losses[:count]))
        stops.append(measure is not None and measure > rule.threshold)
    assert stops == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"patience": 0}, "'patience' of the stop rule 'patience' is 0: give a whole number of evaluations from 1"),
        ({"patience": 2.5}, "'patience' of the stop rule 'patience' is 2.5: give a whole number"),
        ({"min_delta": -1.0}, "'min_delta' of the stop rule 'patience' is -1.0: give a finite number from 0"),
        ({"min_delta": NAN}, "'min_delta' of the stop rule 'patience' is nan: give a finite number from 0"),
        ({"watch": "accuracy"}, "'watch' of the stop rule 'patience' is 'accuracy': give 'loss' or 'metric'"),
        ({"patence": 3}, "has no option 'patence': did you mean 'patience'"),
    ],
)
def test_bad_options_are_one_sentence(options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        rules.build("patience", options)
