"""Errors of landmarks by hand: mean, of each point, failures, the cumulative error curve and its area."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from descant import Landmarks
from descant.data.description import Field
from descant.tasks import landmark_metrics
from metric_sums import details_of, value_of


class Eyes(Landmarks):
    label = "eyes"
    point_names = ("left", "nose", "right")
    eyes = (0, 2)


FIELDS = {"eyes": Field("points", shape=(3, 2))}


@pytest.fixture
def task() -> Eyes:
    return Eyes("eyes", FIELDS, {})


def faces() -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions and targets of three faces, the last of which has coinciding eyes."""
    target = torch.tensor([[[0.0, 0.0], [0.5, 0.5], [0.3, 0.4]]] * 3)
    target[2] = 0.0
    prediction = target.clone()
    prediction[0, 1, 0] += 0.06
    prediction[1] += torch.tensor([0.0, 0.1])
    return prediction, target


def test_errors_by_hand(task: Eyes) -> None:
    prediction, target = faces()
    distance_BP = task.distances(prediction, target)
    assert distance_BP[0].tolist() == pytest.approx([0.0, 0.12, 0.0], rel=1e-6)
    assert distance_BP[1].tolist() == pytest.approx([0.2] * 3, rel=1e-6)
    assert distance_BP[2].isnan().all(), "eyes that coincide give no scale"
    made = task.metrics()
    assert list(made) == ["mean_error", "failure_rate", "error_curve_area", "excluded"]
    assert value_of(made["mean_error"], prediction, target, (1, 2)) == pytest.approx((0.04 + 0.2) / 2)
    details = details_of(made["mean_error"], prediction, target)
    assert details == pytest.approx({"left": 0.1, "nose": 0.16, "right": 0.1})
    assert value_of(made["failure_rate"], prediction, target) == 0.5
    assert value_of(made["error_curve_area"], prediction, target, (1,)) == pytest.approx((0.6 + 0.0) / 2)
    assert value_of(made["excluded"], prediction, target) == 1.0
    assert [metric.direction for metric in made.values()] == ["min", "min", "max", "min"]


def test_the_curve_is_the_share_of_faces_below_and_its_area_is_exact(task: Eyes) -> None:
    rng = np.random.default_rng(0)
    error_B = torch.from_numpy(rng.gamma(2.0, 0.04, 4000))
    metric = landmark_metrics.error_curve_area(lambda prediction, target: prediction[:, None].expand(-1, 3), 0.1)
    curve = details_of(metric, error_B, error_B)
    assert [*curve][:3] == ["0.000", "0.005", "0.010"] and [*curve][-1] == "0.300"
    for threshold, share in curve.items():
        assert share == pytest.approx(float((error_B <= float(threshold)).double().mean()))
    steps = np.linspace(0.0, 0.1, 20001)
    under = np.trapezoid([float((error_B <= step).double().mean()) for step in steps[::50]], steps[::50]) / 0.1
    assert value_of(metric, error_B, error_B) == pytest.approx(under, abs=1e-3)


def test_faces_without_a_scale_alone_have_no_error_and_are_counted(task: Eyes) -> None:
    prediction, target = faces()
    values = {name: value_of(metric, prediction[2:], target[2:]) for name, metric in task.metrics().items()}
    assert values.pop("excluded") == 1.0
    assert all(map(math.isnan, values.values()))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_prediction_that_is_not_finite_is_a_failure_and_not_left_out(task: Eyes, wrong: float) -> None:
    prediction, target = faces()
    prediction[0, 1, 0] = wrong
    values = {name: value_of(metric, prediction, target) for name, metric in task.metrics().items()}
    assert values == {"mean_error": math.inf, "failure_rate": 1.0, "error_curve_area": 0.0, "excluded": 1.0}


def test_points_have_numbers_unless_there_are_as_many_names() -> None:
    class Unnamed(Landmarks):
        label = "eyes"

    assert Unnamed("eyes", FIELDS, {}).names == ("0", "1", "2")
    Unnamed.point_names = ("left", "right")
    assert Unnamed("eyes", FIELDS, {}).names == ("0", "1", "2")
