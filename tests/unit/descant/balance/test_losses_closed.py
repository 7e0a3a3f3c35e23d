"""Loss balancers whose weights follow from the losses alone: gradients of their objectives, and edge values."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchjd.scalarization import GeometricMean

from descant.errors import UserError
from signals import made, signals

LOSSES = [0.3, 2.0, 41.0, 1e-5]


def _gradient(objective: Callable[[Tensor], Tensor], losses: list[float]) -> Tensor:
    losses_K = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(objective(losses_K), losses_K)[0]


@pytest.mark.parametrize(
    ("name", "objective"), [("gls", GeometricMean()), ("si", lambda losses_K: losses_K.log().sum())]
)
def test_weights_are_the_objectives_gradient(name: str, objective: Callable[[Tensor], Tensor]) -> None:
    weights_K = made(name, 4).weights(signals(LOSSES))
    torch.testing.assert_close(weights_K, _gradient(objective, LOSSES), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["gls", "si"])
def test_losses_that_have_no_logarithm_count_as_epsilon(name: str) -> None:
    at_epsilon_K = made(name, 4, epsilon=1e-6).weights(signals([1e-6, 1e-6, 1e-6, 3.0]))
    assert torch.equal(made(name, 4, epsilon=1e-6).weights(signals([0.0, -7.0, 1e-30, 3.0])), at_epsilon_K)
    with pytest.raises(UserError, match=f"'epsilon' of the balancer '{name}' is 0: give a finite number above 0"):
        made(name, 4, epsilon=0)


def test_gls_neither_underflows_nor_overflows_where_the_product_does() -> None:
    weights_K = made("gls", 40).weights(signals([1e-7] * 20 + [1e25] * 20))
    assert weights_K[0].item() == pytest.approx(1e9 / 40 / 1e-7, rel=1e-9)
    assert weights_K[-1].item() == pytest.approx(1e9 / 40 / 1e25, rel=1e-9)


def test_rlw_draws_the_softmax_of_normal_numbers_from_the_steps_generator() -> None:
    balancer = made("rlw", 3)
    drawn_K = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    assert torch.equal(balancer.weights(signals([1.0, 1.0, 1.0], step=4)), drawn_K.softmax(0))
    assert not torch.equal(balancer.weights(signals([1.0, 1.0, 1.0], step=5)), drawn_K.softmax(0))


@pytest.mark.parametrize("distribution", ["normal", "uniform", "dirichlet", "bernoulli", "constrained_bernoulli"])
def test_rlw_weights_are_shares_and_alike_for_all_tasks_on_average(distribution: str) -> None:
    balancer = made("rlw", 3, distribution=distribution)
    drawn_SK = torch.stack([balancer.weights(signals([1.0] * 3, step=step)) for step in range(3000)])
    torch.testing.assert_close(drawn_SK.sum(1), torch.ones(3000, dtype=torch.float64))
    assert (drawn_SK >= 0).all()
    # Four standard errors of the widest distribution, all the weight on one of three tasks.
    assert (drawn_SK.mean(0) - 1 / 3).abs().max() < 4 * math.sqrt(2 / 9 / 3000)
    values = {round(value, 9) for value in drawn_SK.flatten().tolist()}
    if distribution == "bernoulli":
        assert values == {0.0, round(1 / 3, 9), 0.5, 1.0}
    if distribution == "constrained_bernoulli":
        assert values == {0.0, 1.0}


def test_dtp_weighs_by_the_running_mean_of_the_metrics() -> None:
    balancer = made("dtp", 3, gamma=2.0, alpha=0.25)
    seen = signals([1.0, 1.0, 1.0])
    assert balancer.weights(seen).tolist() == [1.0, 1.0, 1.0]
    balancer.after_evaluation(0, {"0": 0.8, "1": 0.0})
    balancer.after_evaluation(1, {"0": 0.4, "1": float("nan"), "2": 1.0})
    kappa = 0.8 + 0.25 * (0.4 - 0.8)
    expected = [-((1 - kappa) ** 2) * math.log(kappa), -((1 - 1e-8) ** 2) * math.log(1e-8), 0.0]
    assert balancer.weights(seen).tolist() == pytest.approx(expected, rel=1e-12)
    assert balancer.weights(signals([1.0], places=[0])).tolist() == pytest.approx(expected[:1], rel=1e-12)


def test_dtp_refuses_metrics_that_are_no_shares() -> None:
    with pytest.raises(UserError, match="the first metric of the task '1' is 3.5, but the balancer 'dtp' needs one fr"):
        made("dtp", 2).after_evaluation(0, {"0": 0.5, "1": 3.5})
    with pytest.raises(UserError, match="'alpha' of the balancer 'dtp' is 1.5: give a number from 1e-08 to 1"):
        made("dtp", 2, alpha=1.5)
