"""Loss balancers that learn numbers by Adam, against torchjd's scalarizers under torch's own Adam."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torchjd.scalarization import FAMO, IMTLL, UW

from descant.errors import UserError
from signals import made, signals


def _losses(steps: int, tasks: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(7)
    for step in range(steps):
        yield torch.rand(tasks, generator=generator, dtype=torch.float64) * torch.logspace(-2, 2, tasks) / (1 + step)


@pytest.mark.parametrize(("name", "scalarizer"), [("uncertainty", UW(3)), ("imtl_l", IMTLL(3))])
def test_learnt_scales_follow_torchjds_under_adam(name: str, scalarizer: UW | IMTLL) -> None:
    scalarizer.double()
    optimizer = torch.optim.Adam(scalarizer.parameters(), lr=0.03)
    balancer = made(name, 3, lr=0.03)
    for losses_K in _losses(50, 3):
        losses_K.requires_grad_()
        optimizer.zero_grad()
        scalarizer(losses_K).backward()
        optimizer.step()
        torch.testing.assert_close(balancer.weights(signals(losses_K.tolist())), losses_K.grad, rtol=1e-10, atol=0)


@pytest.mark.parametrize(("name", "target"), [("uncertainty", [0.5e2, 0.5, 0.5e-2]), ("imtl_l", [1e2, 1.0, 1e-2])])
def test_learnt_scales_end_where_all_losses_weigh_alike(name: str, target: list[float]) -> None:
    balancer = made(name, 3, lr=0.02)
    for _ in range(3000):
        weights_K = balancer.weights(signals([1e-2, 1.0, 1e2]))
    torch.testing.assert_close(weights_K, torch.tensor(target, dtype=torch.float64), rtol=0.02, atol=0)


@pytest.mark.parametrize(("name", "highest"), [("uncertainty", 0.5e8), ("imtl_l", 1e8)])
def test_learnt_scales_of_losses_that_are_not_positive_stay_bounded(name: str, highest: float) -> None:
    balancer = made(name, 3, lr=10.0)
    for _ in range(50):
        weights_K = balancer.weights(signals([0.0, -5.0, 1e30]))
    assert weights_K[:2].tolist() == pytest.approx([highest, highest])
    assert 0.0 < weights_K[2].item() < 1e-20


def test_famo_follows_torchjds() -> None:
    floors_K = torch.tensor([0.0, 1e-4, 0.0], dtype=torch.float64)
    scalarizer = FAMO(3, min_losses=floors_K, lr=0.05, weight_decay=0.01).double()
    balancer = made("famo", 3, lr=0.05, weight_decay=0.01, min_losses={"1": 1e-4})
    assert balancer.reads_after
    for before_K, after_K in zip(_losses(40, 3), list(_losses(41, 3))[1:], strict=True):
        before_K, after_K = before_K + 2e-4, after_K + 2e-4
        leaf_K = before_K.clone().requires_grad_()
        scalarizer(leaf_K).backward()
        seen = signals(before_K.tolist())
        torch.testing.assert_close(balancer.weights(seen), leaf_K.grad, rtol=1e-9, atol=0)
        scalarizer.update(after_K)
        balancer.after_step(seen, after_K)


def test_famo_turns_to_the_task_that_falls_slower() -> None:
    balancer = made("famo", 2)
    for _ in range(100):
        weights_K = balancer.weights(signals([1.0, 1.0]))
        balancer.after_step(signals([1.0, 1.0]), torch.tensor([0.5, 0.9], dtype=torch.float64))
    assert weights_K[1] > 2 * weights_K[0]
    assert weights_K.sum().item() == pytest.approx(1.0)


def test_famo_learns_nothing_of_a_task_whose_loss_is_no_longer_finite() -> None:
    broken, whole = made("famo", 3), made("famo", 2)
    after_K = torch.tensor([0.5, 0.9, float("nan")], dtype=torch.float64)
    broken.after_step(signals([1.0, 1.0, 1.0]), after_K)
    whole.after_step(signals([1.0, 1.0]), after_K[:2])
    seen = signals([1.0, 2.0], places=[0, 1])
    assert torch.equal(broken.weights(seen), whole.weights(seen))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("uncertainty", {"lr": 0.0}, "'lr' of the balancer 'uncertainty' is 0.0: give a finite number above 0"),
        ("imtl_l", {"lr": float("nan")}, "'lr' of the balancer 'imtl_l' is nan: give a finite number above 0"),
        ("famo", {"weight_decay": -1.0}, "'weight_decay' of the balancer 'famo' is -1.0: give a finite number from 0"),
        ("famo", {"min_losses": {"one": 0.0}}, "names 'one', which is no task: known: 0, 1, 2"),
        ("famo", {"min_losses": {"1": float("inf")}}, "'min_losses.1' of the balancer 'famo' is inf"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        made(name, 3, **options)
