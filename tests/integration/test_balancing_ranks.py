"""Every balancer weighs the tasks of a global batch alike, however many ranks share it."""

from __future__ import annotations

import pytest
import torch

from balancing_case import STEPS, cases, run_all
from gloo import run_on_ranks

Found = dict[tuple[str, str], dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def found() -> dict[int, list[Found]]:
    return run_on_ranks((1, 2, 3), run_all)


@pytest.mark.parametrize(("method", "way"), list(cases()))
def test_any_number_of_ranks_gives_what_one_gives(found: dict[int, list[Found]], method: str, way: str) -> None:
    one = found[1][0][method, way]
    assert one["weights"].isfinite().all() and one["gradients"].isfinite().all()
    assert one["weights"].shape[0] == STEPS and (one["gradients"].abs().sum(1) > 0).all()
    assert not one["weights"][1::2, 2].any(), "a task without labels has no weight"
    for size in (2, 3):
        several = [ranks[method, way] for ranks in found[size]]
        assert all(torch.equal(each["weights"], several[0]["weights"]) for each in several), "the same on every rank"
        for name, value in one.items():
            torch.testing.assert_close(several[0][name], value, rtol=1e-9, atol=1e-12, msg=f"{name} on {size} ranks")
