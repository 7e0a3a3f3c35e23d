"""What a Gramian tells, beside the gradients that it is of."""

from __future__ import annotations

import pytest
import torch

from descant.loop.conflicts import conflicts, picture

TASKS = ("main", "along", "against", "nothing")


def test_norms_cosines_and_shares_are_those_of_the_gradients() -> None:
    gradients_PN = torch.tensor([[3.0, 4.0], [6.0, 8.0], [-4.0, 3.0], [0.0, 0.0]], dtype=torch.float64)
    gradients_PN[2] -= 0.5 * gradients_PN[0]
    found = conflicts(gradients_PN @ gradients_PN.T, TASKS)
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
    drawn = picture(found.matrix, TASKS)
    left, cell = drawn.shape[1] - 4 * 40 - 6, 40
    near = [
        drawn[cell + 4, left + place * cell + 4].tolist() for place in range(4)
    ]  # the first row, beside the figures
    assert near[0] == near[1] == [0, 0, 255] and near[3] == [255, 255, 255]
    assert near[2][0] == 255 and near[2][1] == near[2][2] < 200
    assert (drawn[:, : left - 6] < 100).any(), "names stand at the left"
    many = picture(torch.eye(40, dtype=torch.float64), [f"task_{place}" for place in range(40)])
    assert max(many.shape) < 1000


def test_one_task_tells_nothing_and_many_have_no_rows_for_each_pair() -> None:
    assert conflicts(torch.ones(1, 1, dtype=torch.float64), ["main"]) is None
    for size, pairs in ((8, 28), (9, 0)):
        found = conflicts(torch.eye(size, dtype=torch.float64), [str(place) for place in range(size)])
        assert found is not None
        rows = list(found.rows())
        assert sum("cosine with" in metric for _, metric, _ in rows) == pairs and len(rows) == size + pairs + 2
