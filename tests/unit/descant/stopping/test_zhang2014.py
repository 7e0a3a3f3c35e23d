"""The rule of Zhang et al. (2014) on curves whose numbers are worked out by hand.

In the comments: m the median of the window's k + 1 training losses, Σ their sum; trend = km / (Σ - km).
"""

from __future__ import annotations

import math

import pytest

from descant.errors import UserError
from descant.stopping import Curves, rules
from descant.stopping.zhang2014 import Zhang2014

NAN = math.nan


def curves(training: list[float], validation: float, weight: float) -> Curves:
    """Return curves whose latest validation loss and weight are these; those before must not matter."""
    count = len(training)
    return Curves(
        epochs=list(range(count)),
        training_loss=training,
        validation_loss=[99.0] * (count - 1) + [validation],
        weight=[7.0] * (count - 1) + [weight],
    )


@pytest.mark.parametrize(
    ("k", "training", "validation", "weight", "expected"),
    [
        # flat: m 1, trend 2/(3-2) = 2, gap (1.5-1)/1
        (2, [1, 1, 1], 1.5, 1, 2 * 0.5),
        # straight: m 2, trend 4/(6-4) = 2, gap (2-1)/1
        (2, [3, 2, 1], 2, 1, 2 * 1.0),
        # the order in the window does not matter
        (2, [1, 3, 2], 2, 1, 2 * 1.0),
        # fast, then level: m 2, trend 4/(11-4), gap 0.5/1
        (2, [8, 2, 1], 1.5, 1, 4 / 7 * 0.5),
        # late: m 4, trend 8/(9-8) = 8, gap 0.25/1
        (2, [4, 4, 1], 1.25, 1, 8 * 0.25),
        # half the weight, twice the measure: trend 2, gap 0.5/(0.5·1)
        (2, [1, 1, 1], 1.5, 0.5, 2 * 1.0),
        # the minimum is of all, the window is of the latest: m 2, trend 4/(6-4) = 2, gap (1.5-1)/1
        (2, [1, 2, 2, 2], 1.5, 1, 2 * 0.5),
        # an even window has the middle of two as its median: m 3, trend 9/(12-9) = 3, gap (3-2)/2
        (3, [4, 3, 3, 2], 3, 1, 3 * 0.5),
        # m (3+2)/2 = 2.5, trend 7.5/(12-7.5) = 5/3, gap (2-1)/(0.25·1) = 4
        (3, [6, 3, 2, 1], 2, 0.25, 20 / 3),
        # m 4, Σ 16.5, trend 16/0.5 = 32, gap 0.5/2
        (4, [4, 4, 4, 2, 2.5], 2.5, 1, 32 * 0.25),
        # straight over the default k: m 3.5, trend 17.5/(21-17.5) = 5, gap 0.5/(0.25·1) = 2
        (5, [6, 5, 4, 3, 2, 1], 1.5, 0.25, 10),
        # halved each time: m 6, trend 30/(63-30), gap (3-1)/(0.5·1) = 4
        (5, [32, 16, 8, 4, 2, 1], 3, 0.5, 120 / 33),
        # epochs without a label are left out: as [3, 2, 1]
        (2, [3, NAN, 2, NAN, NAN, 1], 2, 1, 2 * 1.0),
        (2, [3, 2, math.inf, 1, NAN], 2, 1, 2 * 1.0),
    ],
)
def test_the_measure_is_the_formulas(
    k: int, training: list[float], validation: float, weight: float, expected: float
) -> None:
    assert Zhang2014(k=k).measure(curves(training, validation, weight)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("k", "training", "validation", "weight", "expected"),
    [
        (4, [4, 4, 4, 2, 2], 2.5, 1, math.inf),  # Σ 16 = 4·4
        (4, [4, 4, 4, 1, 1], 2.5, 1, math.inf),  # Σ 14 < 4·4
        (4, [4, 4, 4, 1, 1], 1, 1, 0.0),  # the same without a gap
        (2, [3, 2, 1], 1, 1, 0.0),
        (2, [3, 2, 1], 0.5, 1, 0.0),  # validation below training, as with dropout
        (2, [3, 2, 1], -1, 1, 0.0),
        (2, [3, 2, 1], 1.5, 0, math.inf),  # no weight, and a gap
        (2, [3, 2, 1], 1, 0, 0.0),
        (2, [2, 1, 0], 0.1, 1, math.inf),  # learnt by heart
        (2, [0, 0, 0], 0.1, 1, math.inf),
        (2, [2, 1, 0], 0, 1, 0.0),
        (2, [3, 2, -1], 2, 1, None),  # a loss that goes below 0
        (2, [-1, 3, 2, 1], 2, 1, None),
        (2, [], 2, 1, None),
        (2, [2, 1], 2, 1, None),  # k + 1 are needed
        (2, [2, NAN, 1], 2, 1, None),
        (2, [3, 2, 1], NAN, 1, None),
        (2, [3, 2, 1], math.inf, 1, None),
        (2, [1e308, 1e308, 1e-308], 1e308, 1e-308, math.inf),  # finite on paper, above any float
    ],
)
def test_where_the_formula_has_no_value(
    k: int, training: list[float], validation: float, weight: float, expected: float | None
) -> None:
    assert Zhang2014(k=k).measure(curves(training, validation, weight)) == expected


@pytest.mark.parametrize(("validation", "stops"), [(1.25, False), (1.5, True)])
def test_the_default_epsilon_stops_a_flat_task_that_is_worse_by_its_weight(validation: float, stops: bool) -> None:
    rule = Zhang2014()
    # trend 5, gap 0.25/0.3 or 0.5/0.3: 4.2 or 8.3, around 5
    measure = rule.measure(curves([1.0] * 6, validation, 0.3))
    assert measure is not None
    assert (measure > rule.threshold) is stops


def test_a_task_stops_only_above_epsilon() -> None:
    assert rules.build("zhang2014", {"k": 2, "epsilon": 2}).threshold == 2.0
    assert Zhang2014(k=2).measure(curves([3, 2, 1], 2, 1)) == 2.0, "exactly: no rounding on the way"


@pytest.mark.parametrize("scale", [2.0**-40, 0.25, 1024.0, 2.0**60])
def test_the_unit_of_the_losses_does_not_matter(scale: float) -> None:
    training, validation = [3.1, 2.2, 1.7, 0.9, 1.3, 0.8], 1.1
    measure = Zhang2014().measure(curves(training, validation, 0.3))
    scaled = Zhang2014().measure(curves([scale * loss for loss in training], scale * validation, 0.3))
    assert measure == scaled


@pytest.mark.parametrize("k", [0, 1, -3])
def test_a_window_that_is_too_short_is_one_sentence(k: int) -> None:
    with pytest.raises(UserError, match=f"^the option 'k' of the stop rule 'zhang2014' is {k}: give .* from 2$"):
        rules.build("zhang2014", {"k": k})


@pytest.mark.parametrize("epsilon", [-0.1, math.nan, math.inf])
def test_an_epsilon_without_meaning_is_one_sentence(epsilon: float) -> None:
    with pytest.raises(UserError, match="'epsilon' of the stop rule 'zhang2014' is .*: give a finite number from 0$"):
        rules.build("zhang2014", {"epsilon": epsilon})
