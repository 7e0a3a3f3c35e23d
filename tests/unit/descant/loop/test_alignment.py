"""Cosines of tasks' gradients with the main task's."""

from __future__ import annotations

import math

import pytest
import torch

from descant.loop.alignment import gradient_cosines, loss_gradients
from descant.loop.ranks import Ranks


def test_cosines_are_those_of_the_gradients_over_all_shared_parameters() -> None:
    a, b = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    means = {
        "main": 3 * a[0] + 4 * b[0],  # (3, 0, 4)
        "same": 6 * a[0] + 8 * b[0],
        "against": -a[0] * 3 - b[0] * 4,
        "elsewhere": a[1] * 2,
        "part": b[0] * 5,  # (0, 0, 5), no gradient of a
        "nothing": 0 * a[1],
    }
    found = gradient_cosines(lambda name: loss_gradients(means[name], [a, b]), "main", [*means][1:], Ranks())
    expected = {"same": 1.0, "against": -1.0, "elsewhere": 0.0, "part": 0.8, "nothing": math.nan}
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)
    sum(means.values()).backward()  # type: ignore[union-attr]
    assert a.grad is not None, "the graph is kept"
