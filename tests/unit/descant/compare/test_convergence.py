"""Epochs, seconds and losses of an arm beside the baseline's, on curves worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from descant.compare.convergence import converged, smoothed
from descant.report.run_folder import RunRecord


def run(losses: Sequence[float], resumed: int = 0) -> RunRecord:
    """A run that took 10 s and 4 steps for each epoch."""
    rows = [
        {
            "split": "validation",
            "task": "genre",
            "metric": "loss",
            "epoch": epoch,
            "value": loss,
            "step": 4 * (epoch + 1),
        }
        for epoch, loss in enumerate(losses)
    ]
    timed = [{**row, "step": 4 * (place + 1), "time": 10.0 * (place + 1)} for place, row in enumerate(rows)]
    return RunRecord(Path("run"), {}, {}, {"resumed": resumed}, ({"time": 0.0}, *timed), 0, {})


def test_a_curve_is_smoothed_over_what_was_before() -> None:
    assert smoothed({0.0: 3.0, 2.0: 1.0, 4.0: 2.0, 6.0: 3.0}) == {0.0: 3.0, 2.0: 2.0, 4.0: 2.0, 6.0: 2.0}


def test_measures_are_those_worked_out_by_hand() -> None:
    # Smoothed: 8, 7, 6, 5, 4, 3 and 4, 3.5, 3, 2, 2, 2: the baseline's best, 3, comes after 6 epochs and after 3.
    baseline, arm = run([8, 6, 4, 5, 3, 1]), run([4, 3, 2, 1, 3, 2])
    cells = converged({0: arm}, {0: baseline}, "genre")
    values = {name: cell.values[0] for name, cell in cells.items()}
    assert values == pytest.approx(
        {
            "epochs_to_baseline_best": 3,
            "steps_to_baseline_best": 12,
            "seconds_to_baseline_best": 30,
            "speed_up": 2,
            "loss_ratio_quarter": 0.5,
            "loss_reduction_quarter": 0.5,
            "loss_ratio_half": 0.5,
            "loss_reduction_half": 0.5,
            "loss_ratio_end": 2 / 3,
            "loss_reduction_end": 1 / 3,
        }
    )
    difference = cells["epochs_to_baseline_best"].difference
    assert difference is not None and difference.mean == -3


def test_the_baseline_is_itself() -> None:
    runs = {0: run([3, 2, 1, 4]), 1: run([2, 2, 2, 2])}
    cells = converged(runs, runs, "genre")
    # Smoothed: 3, 2.5, 2, 7/3, best after three epochs; the other is at its best from the first.
    assert cells["epochs_to_baseline_best"].values == {0: 3, 1: 1}
    assert cells["speed_up"].values == {0: 1, 1: 1}
    assert cells["loss_ratio_half"].values == {0: 1, 1: 1}
    assert cells["speed_up"].verdict == "baseline"


def test_an_arm_that_never_comes_there_has_no_number_and_counts_as_one_that_does_not() -> None:
    baseline = {0: run([3, 2, 1]), 1: run([3, 2, 1])}
    cells = converged({0: run([4, 4, 4]), 1: run([1, 1, 1])}, baseline, "genre")
    epochs = cells["epochs_to_baseline_best"]
    assert epochs.values == {0: None, 1: 1}
    assert epochs.estimate is not None and epochs.estimate.n == 1
    assert cells["speed_up"].values == {0: None, 1: 3}
    assert cells["loss_ratio_end"].values == {0: pytest.approx(2.0), 1: pytest.approx(0.5)}


def test_a_resumed_run_has_no_seconds_and_a_shorter_one_is_compared_up_to_its_end() -> None:
    cells = converged({0: run([2, 2], resumed=1)}, {0: run([4, 4, 4, 4])}, "genre")
    assert cells["seconds_to_baseline_best"].values == {0: None}
    assert cells["epochs_to_baseline_best"].values == {0: 1}
    assert cells["loss_ratio_end"].values == {0: 0.5}


def test_without_a_curve_or_a_common_seed_nothing_is_said() -> None:
    assert converged({0: run([])}, {0: run([1, 2])}, "genre") == {}
    assert converged({0: run([1])}, {1: run([1])}, "genre") == {}
