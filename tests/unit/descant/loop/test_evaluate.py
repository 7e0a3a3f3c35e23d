"""Scores against sklearn and formulas over the whole split, identical on any number of ranks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, mean_absolute_error

from evaluation_case import SAMPLES, everything, model, scores, tasks, values_on


@pytest.mark.parametrize("world_size", [2, 3])
def test_scores_are_the_same_bit_for_bit_on_any_number_of_ranks(
    on_ranks: dict[int, list[dict[str, Any]]], world_size: int
) -> None:
    values, samples, total, bad = values_on(0, 1)
    found = [rank["scores"] for rank in on_ranks[world_size]]
    for rank in found:
        for task, metrics in values.items():
            assert {name: repr(value) for name, value in rank[0][task].items()} == {
                name: repr(value) for name, value in metrics.items()
            }
        assert rank[1:3] == (samples, total)
    assert sorted(key for rank in found for key in rank[3]) == sorted(bad), "each bad sample is seen by one rank"


def test_scores_are_those_of_the_whole_split_at_once() -> None:
    data, net = everything(), model().eval()
    with torch.no_grad():
        outputs = net({"mel": data["mel"].flatten(0, 1)})
    found, made = scores(0, 1), tasks()
    assert found.total == int(data["valid"].sum())
    assert len(found.bad) == SAMPLES - found.total

    rows = data["valid"] & data["has genre"]
    probabilities = made["genre"].predict(outputs["genre"]).unflatten(0, (SAMPLES, 2))
    target, mean = data["genre"][rows].numpy(), probabilities.mean(1)[rows].double().numpy()
    genre = found.values["genre"]
    assert found.samples["genre"] == len(target)
    assert genre["accuracy"] == pytest.approx(accuracy_score(target, mean.argmax(1)))
    assert genre["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(target, mean.argmax(1)))
    logits = outputs["genre"].unflatten(0, (SAMPLES, 2))[rows].double().softmax(-1).numpy()
    each_view = [log_loss(target, logits[:, view], labels=range(4)) for view in (0, 1)]
    assert genre["loss"] == pytest.approx(sum(each_view) / 2, rel=1e-5), "the loss of a sample is its views' mean"

    rows = data["valid"] & data["has age"]
    predicted = outputs["age"].unflatten(0, (SAMPLES, 2)).mean(1)[rows]
    error = mean_absolute_error(data["age"][rows].double(), predicted.double())
    assert found.values["age"]["mean_absolute_error"] == pytest.approx(error, rel=1e-6)

    back = outputs["back"].unflatten(0, (SAMPLES, 2))[data["valid"]]
    error = float((back - data["mel"][data["valid"]]).abs().double().mean())
    assert found.values["back"]["mean_absolute_error"] == pytest.approx(error, rel=1e-6)
    assert found.values["back"]["loss"] == pytest.approx(error, rel=1e-6)
    assert found.samples["back"] == found.total
    targets, given_back = found.pictures["back"]
    torch.testing.assert_close(targets, data["mel"][:4, 0])
    assert given_back.shape == targets.shape


def test_each_part_has_the_loss_of_the_samples_that_teach_it() -> None:
    data, net, found = everything(), model().eval(), scores(0, 1)
    with torch.no_grad():
        probability = net({"mel": data["mel"].flatten(0, 1)}, ["traits"])["traits"].sigmoid().unflatten(0, (SAMPLES, 2))
    rows = data["valid"] & data["has traits"]
    for place in range(3):
        known = rows & ~data["traits"][:, place].isnan()
        target = data["traits"][known, place].numpy()
        each_view = [log_loss(target, probability[known, view, place].double().numpy()) for view in (0, 1)]
        assert found.part_losses["traits"][str(place)] == pytest.approx(sum(each_view) / 2, rel=1e-5)
    assert found.part_losses.keys() == {"traits"}


def test_a_task_without_labels_has_no_score() -> None:
    found = scores(0, 1)
    assert found.samples["never"] == 0
    assert all(math.isnan(value) for value in found.values["never"].values())
