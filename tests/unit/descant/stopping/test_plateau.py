"""Plateau on curves that are worked out by hand: the best up to now over the best ``window`` evaluations ago."""

from __future__ import annotations

import math

import pytest

from descant.errors import UserError
from descant.stopping import Curves, rules
from descant.stopping.plateau import Plateau

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("losses", "window", "expected"),
    [
        ([], 1, None),
        ([4], 1, None),
        ([4, 3], 2, None),
        ([4, 3], 1, 3 / 4),
        ([4, 3, 2], 1, 2 / 3),
        ([4, 3, 2], 2, 2 / 4),
        ([4, 4, 4], 2, 1),
        ([4, 5, 6], 2, 1),  # risen: the best is still 4
        ([4, 2, 5, 3], 2, 1),  # best of [4, 2] and of all
        ([4, 2, 1, 3], 2, 1 / 2),  # better in between
        ([8, 4, 6, 3.96, 5], 3, 3.96 / 4),  # best of [8, 4]
        ([4, NAN, 3], 1, 3 / 4),  # best of [4, NaN]
        ([4, 3, NAN], 1, 1),  # NaN is no improvement
        ([NAN, 4, 3], 2, None),  # nothing measured two evaluations ago
        ([4, INF, -INF, 3], 2, 3 / 4),
        ([0, 1], 1, 1),
        ([4, 0], 1, 0),
        ([1, -1], 1, -1),  # improved by twice its magnitude
        ([-2, -3], 1, 0.5),  # improved by half its magnitude
        ([-2, -1], 1, 1),
        ([0, -1], 1, -INF),
    ],
)
def test_what_is_left_of_the_best_loss(losses: list[float], window: int, expected: float | None) -> None:
    assert Plateau(window=window).measure(Curves(validation_loss=losses)) == expected


@pytest.mark.parametrize(
    ("latest", "stops"),
    [(0.98, False), (0.989, False), (0.991, True), (1.0, True), (1.5, True)],
)
def test_it_stops_below_the_tolerance(latest: float, stops: bool) -> None:
    rule = rules.build("plateau", {"window": 3, "tolerance": 0.01})
    measure = rule.measure(Curves(validation_loss=[1.0, 1.0, 1.0, latest]))  # improved by 1 - latest
    assert measure is not None
    assert (measure > rule.threshold) is stops


@pytest.mark.parametrize("scale", [2.0**-40, 0.25, 1024.0])
def test_the_unit_of_the_loss_does_not_matter(scale: float) -> None:
    losses = [3.1, 2.2, 1.7, 1.3, 1.1, 1.05]
    rule = Plateau(window=2)
    scaled = rule.measure(Curves(validation_loss=[scale * loss for loss in losses]))
    assert rule.measure(Curves(validation_loss=losses)) == scaled


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 0}, "'window' of the stop rule 'plateau' is 0: give a whole number of evaluations from 1"),
        ({"tolerance": 0}, "'tolerance' of the stop rule 'plateau' is 0: give a number above 0 and below 1"),
        ({"tolerance": 1.0}, "'tolerance' of the stop rule 'plateau' is 1.0: give a number above 0 and below 1"),
        ({"tolerance": NAN}, "'tolerance' of the stop rule 'plateau' is nan: give a number above 0 and below 1"),
        ({"tolerance": "1%"}, "'tolerance' of the stop rule 'plateau' is '1%': give a number"),
    ],
)
def test_bad_options_are_one_sentence(options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        rules.build("plateau", options)
