"""Controllers of the auxiliaries' weights: their updates by hand, and what they learn in a small world."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from descant.balance import LossBalancer
from descant.errors import UserError
from signals import made, signals

CONTROLLERS = ["auto_lambda", "exp3s", "policy_gradient", "thompson"]


def _train(balancer: LossBalancer, gains: list[float], steps: int) -> torch.Tensor:
    """Return the mean weights of the last half of the steps; each lowers log ℓ of the main task by Σ weight·gain."""
    kept, metric = [], 0.0
    for step in range(steps):
        seen = signals([1.0] * len(gains), step=step)
        weights_K = balancer.weights(seen)
        progress = float((weights_K * torch.tensor(gains, dtype=torch.float64)).sum())
        after_K = torch.ones(len(gains), dtype=torch.float64)
        after_K[0] = math.exp(-progress)
        balancer.after_step(seen, after_K)
        metric += progress
        if step % 5 == 4:
            balancer.after_evaluation(step // 5, {"0": metric})
        kept.append(weights_K)
    return torch.stack(kept[steps // 2 :]).mean(0)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_the_main_tasks_weight_stays_one_with_auxiliaries_and_without(name: str) -> None:
    balancer = made(name, 3)
    for step in range(10):
        assert balancer.weights(signals([1.0, 2.0, 3.0], step=step))[0].item() == 1.0
        assert balancer.weights(signals([2.0, 1.0], places=[1, 0], main=1, step=step))[1].item() == 1.0
        assert balancer.weights(signals([2.0], step=step)).tolist() == [1.0]
    assert balancer.main_first


@pytest.mark.parametrize(
    ("name", "options"),
    [("exp3s", {"eta": 0.05}), ("policy_gradient", {"lr": 0.05}), ("thompson", {"fading": 0.02})],
)
def test_the_auxiliary_that_helps_comes_to_weigh_most(name: str, options: dict[str, float]) -> None:
    _, harmful, helpful, idle = _train(made(name, 4, **options), [-0.001, -0.02, 0.02, 0.0], 1500).tolist()
    assert helpful > 2 * max(harmful, idle)


@pytest.mark.parametrize("name", ["policy_gradient", "thompson"])
def test_auxiliaries_that_only_harm_lose_their_weight(name: str) -> None:
    _, first, second = _train(made(name, 3), [0.001, -0.02, -0.03], 1500).tolist()
    assert max(first, second) < 0.3


@pytest.mark.parametrize("name", ["exp3s", "policy_gradient"])
def test_steps_that_tell_nothing_of_the_main_task_teach_nothing(name: str) -> None:
    balancer = made(name, 3)
    seen = signals([1.0, 2.0, 3.0])
    balancer.weights(seen)
    before = str(balancer.state_dict())
    balancer.after_step(seen, torch.tensor([float("nan"), 1.0, 1.0], dtype=torch.float64))
    balancer.after_step(signals([1.0, 2.0], places=[1, 2], main=None, step=1), torch.ones(2, dtype=torch.float64))
    balancer.after_step(signals([1.0, 2.0, 3.0], step=2), torch.ones(3, dtype=torch.float64))  # weighed by another
    assert str(balancer.state_dict()) == before


def test_exp3s_updates_as_the_paper_writes_it() -> None:
    balancer = made("exp3s", 4, eta=0.3, epsilon=0.2)
    logits_N, rewards = np.zeros(3), []
    for step, progress in enumerate([0.5, -0.2, 0.4, 0.1, -1.0, 0.3]):
        seen = signals([1.0] * 4, step=step)
        drawn = int(balancer.weights(seen)[1:].argmax())
        balancer.after_step(seen, torch.tensor([math.exp(-progress), 1.0, 1.0, 1.0], dtype=torch.float64))
        rewards.append(progress)
        low, high = np.quantile(rewards, [0.2, 0.8])
        policy_N = 0.8 * np.exp(logits_N) / np.exp(logits_N).sum() + 0.2 / 3
        gains_N = np.zeros(3)
        gains_N[drawn] = np.clip(2 * (progress - low) / (high - low) - 1, -1, 1) / policy_N[drawn] if step else 0.0
        moved_N, alpha = np.exp(logits_N + 0.3 * gains_N), 1 / (step + 1)
        logits_N = np.log((1 - alpha) * moved_N + alpha / 2 * (moved_N.sum() - moved_N))
        np.testing.assert_allclose(balancer.state_dict()["logits"][1:].numpy(), logits_N, rtol=1e-9, atol=1e-12)


def test_exp3s_emphasises_one_auxiliary() -> None:
    seen = signals([1.0] * 4)
    assert sorted(made("exp3s", 4).weights(seen)[1:].tolist()) == [0.0, 0.0, 3.0]
    assert sorted(made("exp3s", 4, emphasis=0.5).weights(seen)[1:].tolist()) == [0.0, 0.0, 0.5]


def test_thompson_keeps_one_auxiliary_until_it_is_judged() -> None:
    balancer = made("thompson", 4, fading=0.5, emphasis=2.0)
    first = [balancer.weights(signals([1.0] * 4, step=step)).tolist() for step in range(5)]
    assert all(weights == first[0] for weights in first)
    assert sorted(first[0][1:]) in ([0.0, 0.0, 2.0], [0.0, 0.0, 0.0])
    balancer.after_evaluation(0, {"0": 0.5})  # nothing before to compare with
    prior = [1.0] * 4
    assert balancer.state_dict()["successes"].tolist() == balancer.state_dict()["failures"].tolist() == prior
    balancer.weights(signals([1.0] * 4, step=5))
    arm = balancer.state_dict()["arm"]
    balancer.after_evaluation(1, {"0": 0.7})
    assert balancer.state_dict()["successes"].tolist() == [2.0 if place == arm else 1.0 for place in range(4)]
    balancer.weights(signals([1.0] * 4, step=6))
    after = balancer.state_dict()["arm"]
    balancer.after_evaluation(2, {"0": 0.6})
    assert balancer.state_dict()["successes"].tolist() == [1.5 if place == arm else 1.0 for place in range(4)]
    assert balancer.state_dict()["failures"].tolist() == [2.0 if place == after else 1.0 for place in range(4)]


def test_policy_gradient_goes_up_the_log_likelihood_times_the_advantage() -> None:
    balancer, theta_N, rewards = made("policy_gradient", 3, lr=0.1, sigma=0.4, window=4.0), torch.zeros(2).double(), []
    for step, progress in enumerate([0.5, 0.1, -0.3, 0.2, 0.9]):
        seen = signals([1.0] * 3, step=step)
        weights_N = balancer.weights(seen)[1:]
        actions_N = (weights_N / (3 - weights_N.sum())).log()
        policy = torch.distributions.Normal(theta_N.requires_grad_(), 0.4)
        (gradient_N,) = torch.autograd.grad(policy.log_prob(actions_N).sum(), theta_N)
        balancer.after_step(seen, torch.tensor([math.exp(-progress), 1.0, 1.0], dtype=torch.float64))
        advantage = 0.0
        if step > 1:
            trust_S = 0.75 ** np.arange(step)[::-1]
            mean = np.average(rewards, weights=trust_S)
            deviation = np.sqrt(np.average((np.array(rewards) - mean) ** 2, weights=trust_S))
            advantage = float(np.clip((progress - mean) / deviation, -3, 3))
        rewards.append(progress)
        theta_N = (theta_N + 0.1 * advantage * gradient_N).detach()
        torch.testing.assert_close(balancer.state_dict()["theta"][1:], theta_N, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("exp3s", {"epsilon": 1.5}, "'epsilon' of the balancer 'exp3s' is 1.5: give a number from 0 to 1"),
        ("exp3s", {"eta": -1.0}, "'eta' of the balancer 'exp3s' is -1.0: give a finite number from 0"),
        ("thompson", {"prior": 0.0}, "'prior' of the balancer 'thompson' is 0.0: give a finite number above 0"),
        ("policy_gradient", {"window": 1.0}, "'window' of the balancer 'policy_gradient' is 1.0: give a finite number"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        made(name, 3, **options)


def test_auto_lambda_goes_down_the_slopes_of_held_out_losses_and_stays_from_0() -> None:
    balancer = made("auto_lambda", 3, lr=0.05, initial=0.2)
    seen = signals([1.0, 1.0, 1.0])
    assert balancer.weights(seen).tolist() == pytest.approx([1.0, 0.2, 0.2])
    balancer.after_look(seen, torch.tensor([5.0, -0.1, 3.0], dtype=torch.float64))
    # The first step of Adam is as long as its learning rate, whatever the slope.
    assert balancer.weights(seen).tolist() == pytest.approx([1.0, 0.25, 0.15])
    for _ in range(20):
        balancer.after_look(seen, torch.tensor([5.0, -0.1, 3.0], dtype=torch.float64))
    weights = balancer.weights(seen)
    assert weights[0] == 1.0 and weights[1] > 1.0 and weights[2] == 0.0


def test_auto_lambda_leaves_a_task_alone_that_a_step_does_not_teach() -> None:
    balancer = made("auto_lambda", 3)
    balancer.after_look(signals([1.0, 1.0], places=[0, 2]), torch.tensor([0.0, 1.0], dtype=torch.float64))
    weights = balancer.weights(signals([1.0, 1.0, 1.0]))
    assert weights[1] == pytest.approx(0.1) and weights[2] < 0.1
