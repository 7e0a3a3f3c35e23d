"""What holds for every stop rule: pure functions of the curves, never NaN, the same after a checkpoint."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import descant
from descant.errors import UserError
from descant.stopping import Curves, StopRule, register_stop_rule, rules

RULES = [
    rules.build(name, options)
    for name, options in [
        ("zhang2014", {"k": 2}),
        ("zhang2014", {}),
        ("patience", {"patience": 2, "min_delta": 0.1}),
        ("patience", {"watch": "metric"}),
        ("plateau", {"window": 1}),
        ("generalization_loss", {}),
        ("transfer", {"window": 2}),
    ]
]

# Small numbers meet often: equal losses, minima of 0 and denominators of 0 come up.
LOSS = st.one_of(st.floats(), st.integers(-1, 4).map(float), st.just(math.nan))
COSINE = st.one_of(st.floats(), st.floats(-1, 1), st.just(math.nan))
WEIGHT = st.one_of(st.just(0.0), st.floats(0, allow_infinity=False))


@st.composite
def columns(draw: st.DrawFn, loss: st.SearchStrategy[float] = LOSS) -> dict[str, Any]:
    """Draw the arguments of Curves (which are checked by means that a strategy must not use)."""
    count = draw(st.integers(0, 12))
    several = {"min_size": count, "max_size": count}
    return {
        "direction": draw(st.sampled_from(["max", "min"])),
        "epochs": list(range(count)),
        "training_loss": draw(st.lists(loss, **several)),
        "validation_loss": draw(st.lists(loss, **several)),
        "metric": draw(st.lists(LOSS, **several)),
        "weight": draw(st.lists(WEIGHT, **several)),
        "alignment": draw(st.lists(COSINE, **several)),
    }


@given(columns(), st.sampled_from(RULES))
def test_a_measure_is_a_number_or_none_and_the_same_again(given: dict[str, Any], rule: StopRule) -> None:
    curves = Curves(**copy.deepcopy(given))
    state = copy.deepcopy(vars(rule))
    measure = rule.measure(curves)
    assert measure is None or not math.isnan(measure)
    assert rule.measure(Curves(**given)) == measure
    assert (repr(curves), vars(rule)) == (repr(Curves(**given)), state), "neither curves nor rule are changed"


@given(columns(), st.sampled_from(RULES))
def test_curves_that_went_through_json_give_the_same_measures(given: dict[str, Any], rule: StopRule) -> None:
    curves = Curves(**given)
    back = Curves(**json.loads(json.dumps(asdict(curves))))
    assert repr(back) == repr(curves)
    for count in range(len(curves.epochs) + 1):
        assert rule.measure(first(back, count)) == rule.measure(first(curves, count))


@given(columns(st.integers(0, 1000).map(float)), st.integers(-30, 30))
def test_the_unit_of_the_losses_does_not_matter(given: dict[str, Any], exponent: int) -> None:
    losses = {
        name: [math.ldexp(loss, exponent) for loss in given[name]] for name in ("training_loss", "validation_loss")
    }
    for rule in (rules.build(name, {}) for name in ("zhang2014", "plateau", "generalization_loss", "patience")):
        assert rule.measure(Curves(**{**given, **losses})) == rule.measure(Curves(**given))


@given(st.lists(st.floats(0.1, 10), min_size=6, max_size=12), st.floats(0, 10), st.floats(1e-3, 10))
def test_more_weight_trains_no_shorter(training: list[float], validation: float, weight: float) -> None:
    several = [validation] * len(training)
    light, heavy = (
        rules.build("zhang2014", {}).measure(
            Curves(training_loss=training, validation_loss=several, weight=[factor * weight] * len(training))
        )
        for factor in (1.0, 2.0)
    )
    assert light is not None and heavy is not None
    assert light >= heavy >= 0


@given(st.lists(LOSS, max_size=12))
def test_a_curve_and_its_mirror_image_are_as_patient(values: list[float]) -> None:
    rule = rules.build("patience", {"watch": "metric", "min_delta": 0.5})
    mirrored = Curves("max", metric=[-value for value in values])
    assert rule.measure(mirrored) == rule.measure(Curves("min", metric=values))


@pytest.fixture
def solved() -> Iterator[str]:
    """The name of a rule that a user has written."""

    @register_stop_rule("solved_in_a_test")
    class Solved(StopRule):
        def __init__(self, loss: float = 0.1) -> None:
            self.threshold = -loss

        def measure(self, curves: Curves) -> float | None:
            return -curves.validation_loss[-1] if curves.validation_loss else None

    yield "solved_in_a_test"
    del rules._classes["solved_in_a_test"]


def test_a_user_writes_a_rule(solved: str) -> None:
    rule = rules.build(solved, {"loss": 0.25})
    assert solved in rules.names()
    assert not rule.reads_alignment
    stops = [-loss > rule.threshold for loss in (0.3, 0.25, 0.2)]
    assert stops == [False, False, True]
    assert rule.measure(Curves(validation_loss=[0.3, 0.2])) == -0.2
    with pytest.raises(UserError, match="'loss' of the stop rule 'solved_in_a_test' is 'low': give a number"):
        rules.build(solved, {"loss": "low"})


def test_names_are_known_and_unknown_ones_are_one_sentence() -> None:
    assert {"generalization_loss", "patience", "plateau", "transfer", "zhang2014"} <= set(rules.names())
    with pytest.raises(UserError, match="there is no stop rule 'zhang': did you mean 'zhang2014'"):
        rules.get("zhang")


def test_what_a_rule_is_written_with_is_in_the_package() -> None:
    assert (descant.Curves, descant.StopRule, descant.register_stop_rule) == (Curves, StopRule, register_stop_rule)


def first(given: Curves, count: int) -> Curves:
    """Return the curves as they were after ``count`` evaluations."""
    lists = {field.name: getattr(given, field.name)[:count] for field in fields(Curves) if field.name != "direction"}
    return Curves(given.direction, **lists)
