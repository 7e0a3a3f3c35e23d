"""The slopes that a tried step finds are those of the losses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from descant.data.batch import Batch
from descant.loop.attempt import Attempt
from descant.loop.look_ahead import LookAhead
from descant.loop.passes import Passes
from descant.loop.ranks import Ranks

TASKS, ROWS = ("main", "near", "far"), 24


class Regressions(Passes):
    """Three regressions on two layers in double precision, in the place of a recipe's model."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, len(TASKS))).double()

    @property
    def module(self) -> nn.Module:  # type: ignore[override]
        return self.net

    @contextmanager
    def bare(self, *, tracking: bool = False) -> Iterator[None]:
        yield

    def own_means(self, attempt: Attempt, batch: Batch) -> Tensor:
        wrong_BK = (self.net(batch.arrays["x"]["x"]) - torch.stack([batch.targets[name] for name in TASKS], 1)).square()
        present_BK = torch.stack([batch.present[name] for name in TASKS], 1)
        return torch.where(present_BK, wrong_BK, 0.0).sum(0) / torch.tensor([max(attempt.counts[n], 1) for n in TASKS])


@dataclass
class Case:
    passes: Regressions
    batch: Batch
    weights_K: Tensor
    attempt: Attempt

    def exact(self, lr: float) -> Tensor:
        """Return −η⟨∇ℓ_V(θ'), ∇ℓ_i(θ)⟩ by two plain passes."""
        sides = torch.tensor(
            [hashlib.blake2b(key.encode(), digest_size=1).digest()[0] % 2 == 1 for key in self.batch.keys]
        )
        net, parameters = self.passes.net, list(self.passes.net.parameters())

        def gradient(place: int, rows_B: Tensor) -> Tensor:
            rows_B = rows_B & self.batch.present[TASKS[place]]
            output_B = net(self.batch.arrays["x"]["x"])[rows_B, place]
            loss = (output_B - self.batch.targets[TASKS[place]][rows_B]).square().mean()
            return torch.cat([each.flatten() for each in torch.autograd.grad(loss, parameters)])

        learnt = torch.stack([gradient(place, sides) for place in range(len(TASKS))])
        origin = nn.utils.parameters_to_vector(parameters).detach()
        nn.utils.vector_to_parameters(origin - lr * self.weights_K @ learnt, parameters)
        held_out = gradient(0, ~sides)
        nn.utils.vector_to_parameters(origin, parameters)
        return -lr * learnt @ held_out


@pytest.fixture
def case() -> Case:
    torch.manual_seed(1)
    keys = [f"sample {number}" for number in range(ROWS)]
    present = {name: torch.rand(ROWS) < 0.8 for name in TASKS}
    targets = {name: torch.randn(ROWS, dtype=torch.float64) for name in TASKS}
    arrays = {"x": {"x": torch.randn(ROWS, 3, dtype=torch.float64)}}
    batch = Batch(keys, arrays, targets, present, torch.ones(ROWS, dtype=torch.bool))
    weights_K = torch.tensor([1.0, 0.3, 0.7], dtype=torch.float64)
    counts = {name: int(mask.sum()) for name, mask in present.items()}
    return Case(Regressions(), batch, weights_K, Attempt(0, ROWS, weights_K, counts, list(TASKS)))


def test_finite_differences_are_near_the_inner_products_and_the_weights_are_put_back(case: Case) -> None:
    before = [parameter.detach().clone() for parameter in case.passes.net.parameters()]
    found = LookAhead(case.passes, Ranks()).slopes(case.attempt, [case.batch], case.weights_K, 0.1, 0)
    torch.testing.assert_close(found, case.exact(0.1), rtol=1e-3, atol=1e-7)
    assert all(torch.equal(now, then) for now, then in zip(case.passes.net.parameters(), before, strict=True))


def test_micro_batches_change_nothing(case: Case) -> None:
    ahead = LookAhead(case.passes, Ranks())
    whole = ahead.slopes(case.attempt, [case.batch], case.weights_K, 0.1, 0)
    parts = [case.batch.rows(start, start + 7) for start in range(0, ROWS, 7)]
    torch.testing.assert_close(ahead.slopes(case.attempt, parts, case.weights_K, 0.1, 0), whole)


def test_nothing_held_out_says_nothing(case: Case) -> None:
    none = {**case.batch.present, "main": torch.zeros(ROWS, dtype=torch.bool)}
    batch = Batch(case.batch.keys, case.batch.arrays, case.batch.targets, none, case.batch.valid)
    assert not LookAhead(case.passes, Ranks()).slopes(case.attempt, [batch], case.weights_K, 0.1, 0).any()
