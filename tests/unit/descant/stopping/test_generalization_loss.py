"""Prechelt's generalization loss on curves that are worked out by hand: percent above the lowest so far."""

from __future__ import annotations

import math

import pytest

from descant.errors import UserError
from descant.stopping import Curves, rules
from descant.stopping.generalization_loss import GeneralizationLoss

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([], None),
        ([4], 0),
        ([4, 3, 2], 0),
        ([4, 5], 25),  # 5/4 - 1
        ([4, 2, 3], 50),  # 3/2 - 1
        ([8, 1, 2], 100),
        ([8, 1, 2, 1], 0),  # back at its best
        ([8, 2, 4, 2.5], 25),
        ([1, 1.0625], 6.25),
        ([4, NAN, 5], 25),
        ([4, 5, NAN], None),
        ([4, 5, INF], None),
        ([4, -INF, 5], 25),
        ([0, 0], 0),
        ([0, 0.1], INF),
        ([1, -1, 2], None),
    ],
)
def test_percent_above_the_lowest(losses: list[float], expected: float | None) -> None:
    assert GeneralizationLoss().measure(Curves(validation_loss=losses)) == expected


@pytest.mark.parametrize(("latest", "stops"), [(1.0, False), (1.04, False), (1.06, True)])
def test_it_stops_above_alpha_percent(latest: float, stops: bool) -> None:
    rule = rules.build("generalization_loss", {"alpha": 5})
    measure = rule.measure(Curves(validation_loss=[2.0, 1.0, latest]))
    assert measure is not None
    assert (measure > rule.threshold) is stops


@pytest.mark.parametrize("scale", [2.0**-40, 0.25, 1024.0])
def test_the_unit_of_the_loss_does_not_matter(scale: float) -> None:
    losses = [3.1, 1.7, 1.3, 1.7]
    scaled = GeneralizationLoss().measure(Curves(validation_loss=[scale * loss for loss in losses]))
    assert GeneralizationLoss().measure(Curves(validation_loss=losses)) == scaled


@pytest.mark.parametrize("alpha", [-1.0, NAN, INF])
def test_bad_options_are_one_sentence(alpha: float) -> None:
    with pytest.raises(UserError, match="'alpha' of the stop rule 'generalization_loss' is .*: give a finite number"):
        rules.build("generalization_loss", {"alpha": alpha})
