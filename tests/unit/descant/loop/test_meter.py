"""What is read from a meter are sums since the last reading."""

from __future__ import annotations

import json

import pytest
import torch

from descant.loop.meter import Meter
from descant.loop.objective import TaskLosses
from descant.loop.ranks import Ranks


def losses(*sums: float) -> TaskLosses:
    return TaskLosses(torch.tensor(sums), torch.tensor(True), {})


def test_losses_are_means_over_labels_and_readings_start_anew() -> None:
    meter = Meter(["genre", "smile"], Ranks())
    meter.add_losses(losses(3.0, 0.5))
    meter.add_losses(losses(1.0, 0.0))
    meter.add_step([4, 1], positions=8, wait_s=0.0)
    meter.add_losses(losses(2.0, 0.0))
    meter.add_step([2, 0], positions=8, wait_s=0.0)
    reading = meter.read()
    assert reading.losses == {"genre": (pytest.approx(1.0), 6), "smile": (pytest.approx(0.5), 1)}
    assert reading.samples_s > 0 and reading.wait_share == 0.0 and reading.coupling is None
    meter.add_losses(losses(5.0, 0.0))
    meter.add_step([5, 0], positions=5, wait_s=1e-9)
    assert meter.read().losses == {"genre": (pytest.approx(1.0), 5)}, "a task without labels has no loss"


def test_many_small_losses_are_summed_in_double_precision() -> None:
    meter = Meter(["a"], Ranks())
    for _ in range(4000):
        meter.add_losses(losses(0.1))
        meter.add_step([1], 1, 0.0)
    assert meter.read().losses["a"][0] == pytest.approx(float(torch.tensor(0.1)), rel=1e-12)


def test_what_was_not_read_survives_a_checkpoint() -> None:
    def add(meter: Meter, genre: float, labels: int) -> None:
        meter.add_losses(losses(genre, 0.0))
        meter.add_coupling(torch.tensor(0.25 * genre))
        meter.add_step([labels, 0], 8, 0.0)

    undisturbed, before, after = (Meter(["genre", "smile"], Ranks()) for _ in range(3))
    add(undisturbed, 3.0, 4)
    add(before, 3.0, 4)
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    for meter in (undisturbed, after):
        add(meter, 2.0, 1)
        reading = meter.read()
        assert (reading.losses, reading.coupling) == ({"genre": (1.0, 5)}, 0.625)
    assert after.state_dict()["sums"] == [0.0, 0.0]


def test_parts_are_means_over_what_they_were_of_and_survive_a_checkpoint() -> None:
    def add(meter: Meter, *totals: list[float]) -> None:
        meter.add_losses(TaskLosses(torch.tensor([0.0]), torch.tensor(True), {}, {"face": torch.tensor(totals)}))

    before, after = (Meter(["face"], Ranks(), {"face": ["face.smile", "face.hat"]}) for _ in range(2))
    add(before, [3.0, 1.0], [2.0, 0.0])
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    add(after, [3.0, 0.5], [1.0, 0.5])
    assert after.read().parts == {"face.smile": (2.0, 3.0), "face.hat": (3.0, 0.5)}
    assert after.read().parts == {}
