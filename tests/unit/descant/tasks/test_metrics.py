"""Metrics against sklearn and torchmetrics, and cut over ranks in any way."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
import torchmetrics.functional as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from descant.tasks import metrics
from descant.tasks.metrics import Metric


def value_of(metric: Metric, prediction: torch.Tensor, target: torch.Tensor, cuts: tuple[int, ...] = ()) -> float:
    """The metric from sums over the parts between ``cuts``."""
    edges = [0, *sorted(cuts), len(target)]
    sums = [
        metric.statistics(prediction[start:stop], target[start:stop]).double().sum(0).numpy()
        for start, stop in zip(edges, edges[1:], strict=False)
        if stop > start
    ]
    return metric.value(np.sum(sums, axis=0))


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
    assert value_of(metrics.balanced_accuracy(classes), scores, target, places) == pytest.approx(expected)


def test_chance_is_what_a_constant_answer_reaches() -> None:
    assert metrics.accuracy([30, 10, 60]).chance == 0.6
    assert metrics.accuracy().chance is None
    assert metrics.balanced_accuracy(8).chance == 0.125


def test_attributes_over_what_is_known() -> None:
    probability = torch.tensor([[0.9, 0.2], [0.5, 0.7], [0.1, 0.1]])
    target = torch.tensor([[1.0, math.nan], [0.0, 1.0], [math.nan, math.nan]])
    made = metrics.attribute_accuracy(2)
    assert value_of(made, probability, target, (1,)) == pytest.approx(2 / 3)
    assert math.isnan(value_of(made, probability[2:], target[2:]))


def test_the_chance_of_attributes_is_the_commoner_answer_to_each() -> None:
    target = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, math.nan]])
    made = metrics.attribute_accuracy(2)
    assert made.chance_of is not None
    assert made.chance_of(made.statistics(torch.rand(4, 2), target).sum(0).numpy()) == pytest.approx(6 / 7)


def test_a_number_improves_on_what_is_none() -> None:
    made = metrics.accuracy()
    assert made.better(0.5, None) and made.better(0.5, math.nan)
    assert not made.better(math.nan, None)
    assert not made.better(0.5, 0.5)


def test_landmark_errors_by_hand() -> None:
    from descant import Landmarks
    from descant.data.description import Field

    class Eyes(Landmarks):
        label = "eyes"
        eyes = (0, 2)

    task = Eyes("eyes", {"eyes": Field("points", shape=(3, 2))}, {})
    target = torch.tensor([[[0.0, 0.0], [0.5, 0.5], [0.3, 0.4]]] * 3)
    target[2] = 0.0
    prediction = target.clone()
    prediction[0, 1, 0] += 0.06
    prediction[1] += torch.tensor([0.0, 0.1])
    error_B = task.error(prediction, target)
    assert error_B[:2].tolist() == pytest.approx([0.06 / 3 / 0.5, 0.1 / 0.5], rel=1e-6)
    assert error_B[2].isnan(), "eyes that coincide give no scale"
    made = task.metrics()
    assert value_of(made["mean_error"], prediction, target, (1, 2)) == pytest.approx(float(error_B[:2].mean()))
    assert value_of(made["failure_rate"], prediction, target) == 0.5
    assert [metric.direction for metric in made.values()] == ["min", "min"]


def test_a_prediction_that_is_not_finite_never_gives_a_rate_above_one() -> None:
    metric = metrics.failure_rate(lambda prediction, target: prediction)
    rate = value_of(metric, torch.tensor([math.inf, 0.0, 0.0]), torch.zeros(3))
    assert rate <= 1.0


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
