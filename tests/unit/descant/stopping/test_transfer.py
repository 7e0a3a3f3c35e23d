"""Transfer on curves that are worked out by hand: minus the mean of the latest cosines."""

from __future__ import annotations

import math

import pytest

from descant.errors import UserError
from descant.stopping import Curves, rules
from descant.stopping.transfer import Transfer

NAN = math.nan


@pytest.mark.parametrize(
    ("cosines", "window", "expected"),
    [
        ([], 1, None),
        ([0.5], 2, None),
        ([0.5], 1, -0.5),
        ([0.5, -0.25], 1, 0.25),
        ([0.5, -0.25], 2, -0.125),  # (0.5 - 0.25)/2
        ([0.5, -0.5], 2, 0),
        ([1, 1, -0.25, -0.75], 2, 0.5),  # the first two are past
        ([1, -1, -1, -1], 4, 0.5),  # -2/4
        ([0.25, 0.25, 0.25, 1], 4, -0.4375),  # 1.75/4
        ([NAN, 0.5, NAN, -0.25], 2, -0.125),
        ([0.5, -0.25, NAN, NAN], 2, -0.125),  # as when they were last measured
        ([NAN, 0.5, NAN], 2, None),
        ([NAN, NAN, NAN], 1, None),
        ([-1, -1, -1], 3, 1),
    ],
)
def test_minus_the_mean_of_the_latest_cosines(cosines: list[float], window: int, expected: float | None) -> None:
    assert Transfer(window=window).measure(Curves(alignment=cosines)) == expected


@pytest.mark.parametrize(
    ("least", "cosine", "stops"),
    [
        (0.0, 0.01, False),
        (0.0, 0.0, False),  # not below
        (0.0, -0.01, True),
        (0.2, 0.19, True),
        (0.2, 0.21, False),
        (-0.5, -0.4, False),
        (-0.5, -0.6, True),
    ],
)
def test_it_stops_below_the_least_mean_cosine(least: float, cosine: float, stops: bool) -> None:
    rule = rules.build("transfer", {"window": 1, "least": least})
    measure = rule.measure(Curves(alignment=[cosine]))
    assert measure is not None
    assert (measure > rule.threshold) is stops


def test_it_alone_asks_for_gradients_to_be_compared() -> None:
    shipped = ("generalization_loss", "patience", "plateau", "transfer", "zhang2014")
    assert [name for name in shipped if rules.get(name).reads_alignment] == ["transfer"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 0}, "'window' of the stop rule 'transfer' is 0: give a whole number of evaluations from 1"),
        ({"least": 1.5}, "'least' of the stop rule 'transfer' is 1.5: give a number from -1 to 1"),
        ({"least": NAN}, "'least' of the stop rule 'transfer' is nan: give a number from -1 to 1"),
    ],
)
def test_bad_options_are_one_sentence(options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        rules.build("transfer", options)
