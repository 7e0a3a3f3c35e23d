"""Metrics against sklearn and torchmetrics, and cut over ranks in any way."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
import torchmetrics.functional as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from descant.tasks import metrics
from metric_sums import sums_of, value_of


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 10**6), st.lists(st.integers(0, 40), max_size=3))
def test_classification_against_sklearn_and_torchmetrics(classes: int, size: int, seed: int, cuts: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(size, classes, generator=generator)
    target = torch.randint(classes, (size,), generator=generator)
    places = tuple(cut for cut in cuts if cut < size)
    right = value_of(metrics.accuracy(), scores, target, places)
    assert right == pytest.approx(
        float(reference.accuracy(scores, target, task="multiclass", num_classes=classes, average="micro"))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # sklearn remarks on classes that occur in one of the two only
        expected = balanced_accuracy_score(target.numpy(), scores.argmax(1).numpy())
    names = tuple(map(str, range(classes)))
    assert value_of(metrics.balanced_accuracy(names), scores, target, places) == pytest.approx(expected)
    expected = f1_score(target.numpy(), scores.argmax(1).numpy(), average="macro")
    assert value_of(metrics.f1(names), scores, target, places) == pytest.approx(expected)


def test_f1_and_recall_of_each_class_by_hand() -> None:
    answers, target = torch.tensor([0, 0, 1, 2, 2, 0]), torch.tensor([0, 1, 1, 2, 2, 2])
    scores, names = torch.eye(4)[answers], ("a", "b", "c", "never")
    f1, recall = metrics.f1(names), metrics.balanced_accuracy(names)
    assert f1.details is not None and recall.details is not None
    expected = {"a": 0.5, "b": 2 / 3, "c": 0.8, "never": math.nan}
    assert f1.details(sums_of(f1, scores, target)) == pytest.approx(expected, nan_ok=True)
    assert value_of(f1, scores, target) == pytest.approx((0.5 + 2 / 3 + 0.8) / 3)
    expected = {"a": 1.0, "b": 0.5, "c": 2 / 3, "never": math.nan}
    assert recall.details(sums_of(recall, scores, target)) == pytest.approx(expected, nan_ok=True)
    assert recall_score(target, answers, average=None).tolist() == pytest.approx([1.0, 0.5, 2 / 3])


def test_chance_is_what_a_constant_answer_reaches() -> None:
    assert metrics.accuracy([30, 10, 60]).chance == 0.6
    assert metrics.accuracy().chance is None
    assert metrics.balanced_accuracy(tuple("abcdefgh")).chance == 0.125


def test_a_number_improves_on_what_is_none() -> None:
    made = metrics.accuracy()
    assert made.better(0.5, None) and made.better(0.5, math.nan)
    assert not made.better(math.nan, None)
    assert not made.better(0.5, 0.5)


@pytest.mark.parametrize(
    ("direction", "value", "than", "better"),
    [
        ("max", 0.5, 0.4, True), ("max", 0.4, 0.4, False), ("min", 0.3, 0.4, True), ("min", 0.5, 0.4, False),
        ("max", 0.0, None, True), ("max", math.nan, None, False), ("min", math.nan, 0.4, False),
    ],
)  # fmt: skip
def test_better(direction: str, value: float, than: float | None, better: bool) -> None:
    assert direction in ("max", "min")
    metric = metrics.mean_metric(lambda prediction, target: prediction, "max" if direction == "max" else "min")
    assert metric.better(value, than) is better
