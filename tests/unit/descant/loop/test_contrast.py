"""Tasks that hold samples against each other do so over the global batch, however it is cut over ranks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from contrastive_case import NONE_ON_THE_LAST, VALID, steps

OnRanks = dict[int, list[dict[str, Any]]]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_have_the_loss_and_the_gradient_of_one(on_ranks: OnRanks, world_size: int) -> None:
    """Also where they hold different numbers of samples that count, or none."""
    assert sum(VALID) == sum(NONE_ON_THE_LAST) == 5
    alone = steps(0, 1)
    for rank in on_ranks[world_size]:
        for found, expected in zip(rank["contrast"], alone, strict=True):
            assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
            assert found["gradients"].keys() == expected["gradients"].keys() and expected["loss"] > 0.5
            for name, value in expected["gradients"].items():
                torch.testing.assert_close(found["gradients"][name], value, rtol=1e-4, atol=1e-6, msg=name)
