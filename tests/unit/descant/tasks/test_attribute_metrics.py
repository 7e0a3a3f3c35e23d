"""Metrics of attributes against sklearn, over what is known of each, and undefined where one answer alone occurs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss

from descant.tasks import attribute_metrics
from metric_sums import details_of, sums_of, value_of

NAMES = ("kind", "loud", "late")
PROBABILITY = torch.tensor([[0.9, 0.2, 0.6], [0.5, 0.7, 0.4], [0.1, 0.1, 0.7], [0.8, 0.6, 0.3]])
TARGET = torch.tensor([[1.0, math.nan, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, math.nan]])


def test_by_hand() -> None:
    accuracy = attribute_metrics.accuracy(NAMES)
    assert value_of(accuracy, PROBABILITY, TARGET, (1,)) == pytest.approx(7 / 10)
    assert details_of(accuracy, PROBABILITY, TARGET) == pytest.approx({"kind": 3 / 4, "loud": 2 / 3, "late": 2 / 3})
    balanced = attribute_metrics.balanced_accuracy(NAMES)
    expected = {"kind": 0.75, "loud": 0.75, "late": math.nan}
    assert details_of(balanced, PROBABILITY, TARGET) == pytest.approx(expected, nan_ok=True)
    assert value_of(balanced, PROBABILITY, TARGET, (2,)) == pytest.approx(0.75)
    f1 = attribute_metrics.f1(NAMES)
    assert details_of(f1, PROBABILITY, TARGET) == pytest.approx({"kind": 0.8, "loud": 2 / 3, "late": 0.8})


def test_chance_is_the_commoner_answer_to_each() -> None:
    target = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, math.nan]])
    made = attribute_metrics.accuracy(("a", "b"))
    assert made.chance_of is not None
    assert made.chance_of(sums_of(made, torch.rand(4, 2), target)) == pytest.approx(6 / 7)


def test_without_a_known_attribute_there_is_no_value() -> None:
    nothing = torch.full((3, 2), math.nan)
    for make in (attribute_metrics.accuracy, attribute_metrics.balanced_accuracy, attribute_metrics.f1):
        assert math.isnan(value_of(make(("a", "b")), torch.rand(3, 2), nothing))
        assert all(map(math.isnan, details_of(make(("a", "b")), torch.rand(3, 2), nothing).values()))


def test_an_attribute_that_nobody_has_has_no_f1_and_one_that_is_never_answered_has_0() -> None:
    target = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    found = details_of(attribute_metrics.f1(("absent", "missed")), torch.zeros(2, 2), target)
    assert found == pytest.approx({"absent": math.nan, "missed": 0.0}, nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 40), st.integers(0, 10**6))
def test_each_attribute_against_sklearn(size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    probability, target = torch.rand(size, 2, generator=generator), torch.rand(size, 2, generator=generator).round()
    target[0], target[1] = 0.0, 1.0
    known = torch.rand(size, generator=generator) < 0.8
    known[:2] = True
    target[~known, 0] = math.nan
    balanced = details_of(attribute_metrics.balanced_accuracy(("a", "b")), probability, target)
    f1 = details_of(attribute_metrics.f1(("a", "b")), probability, target)
    losses = details_of(attribute_metrics.cross_entropy(("a", "b")), probability, target)
    for place, (name, rows) in enumerate({"a": known, "b": torch.ones(size, dtype=torch.bool)}.items()):
        right, scores = target[rows, place].numpy(), probability[rows, place].double().numpy()
        assert balanced[name] == pytest.approx(balanced_accuracy_score(right, scores >= 0.5))
        assert f1[name] == pytest.approx(f1_score(right, scores >= 0.5))
        assert losses[name] == pytest.approx(log_loss(right, scores), rel=1e-5)
