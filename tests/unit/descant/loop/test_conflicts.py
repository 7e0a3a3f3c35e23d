"""What a Gramian tells, beside the gradients that it is of."""

from __future__ import annotations

import pytest
import torch

from descant.loop.conflicts import conflicts
from signals import signals

TASKS = ("main", "along", "against", "nothing", "absent")


def test_norms_cosines_and_shares_are_those_of_the_gradients() -> None:
    gradients_PN = torch.tensor([[3.0, 4.0], [6.0, 8.0], [-4.0, 3.0], [0.0, 0.0]], dtype=torch.float64)
    gradients_PN[2] -= 0.5 * gradients_PN[0]
    found = conflicts(signals([1.0] * 4, gradients_PN @ gradients_PN.T), TASKS)
    assert found is not None
    assert found.norms == pytest.approx(dict(zip(TASKS, gradients_PN.norm(dim=1).tolist(), strict=False)))
    cosine = float(torch.cosine_similarity(gradients_PN[0], gradients_PN[2], dim=0))
    assert cosine < -0.3
    assert found.cosines["main", "along"] == pytest.approx(1.0)
    assert found.cosines["main", "against"] == found.cosines["along", "against"] == pytest.approx(cosine)
    assert found.cosines["against", "nothing"] == 0.0
    assert found.conflict_share == pytest.approx(2 / 6)
    norms = list(found.norms.values())
    pairs = [(one, other) for place, one in enumerate(norms) for other in norms[place + 1 :]]
    assert found.magnitude_similarity == pytest.approx(sum(2 * a * b / (a * a + b * b) for a, b in pairs) / 6)
    size = found.picture.shape[0] // 4
    corner, apart, zero = found.picture[0, size], found.picture[0, 2 * size], found.picture[0, 3 * size]
    assert corner.tolist() == [0, 0, 255] and zero.tolist() == [255, 255, 255]
    assert apart[0] == 255 and apart[1] == apart[2] < 200


def test_one_task_or_no_gramian_tells_nothing() -> None:
    assert conflicts(signals([1.0, 2.0]), TASKS) is None
    assert conflicts(signals([1.0], torch.ones(1, 1, dtype=torch.float64)), TASKS) is None
