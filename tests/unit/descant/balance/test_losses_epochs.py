"""Loss balancers that remember losses: dynamic weight average, coefficient of variation, smooth Tchebycheff."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchjd.scalarization import DWA, STCH

from descant.errors import UserError
from signals import made, signals


def _gradient(scalarizer: torch.nn.Module, losses: list[float]) -> Tensor:
    losses_K = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(scalarizer(losses_K), losses_K)[0]


def test_dwa_follows_torchjds() -> None:
    scalarizer, balancer = DWA(temperature=1.5), made("dwa", 3, temperature=1.5)
    generator = np.random.default_rng(3)
    for epoch in range(5):
        for _ in range(4):
            losses = (generator.random(3) * [1.0, 10.0, 0.01] * 0.8**epoch).tolist()
            weights_K = balancer.weights(signals(losses, epoch=epoch))
            torch.testing.assert_close(weights_K, _gradient(scalarizer, losses), rtol=1e-12, atol=0)
            if epoch < 2:
                assert weights_K.tolist() == [1.0, 1.0, 1.0]
        scalarizer.step()


def test_dwa_means_are_over_the_steps_that_taught_the_task() -> None:
    balancer = made("dwa", 2)
    for epoch, rare in ((0, 4.0), (1, 2.0)):
        for step in range(5):
            losses = [3.0, rare] if step == 3 else [3.0]
            balancer.weights(signals(losses, places=range(len(losses)), epoch=epoch))
    balancer.weights(signals([3.0], places=[0], epoch=2))  # an epoch that does not teach the second task at all
    weights_K = balancer.weights(signals([3.0, 9.0], epoch=3))
    rates_K = np.exp(np.array([1.0, 0.5]) / 2)
    np.testing.assert_allclose(weights_K.numpy(), 2 * rates_K / rates_K.sum(), rtol=1e-12)


def test_dwa_finds_no_rate_in_losses_that_are_not_positive() -> None:
    balancer = made("dwa", 3)
    for epoch in range(3):
        weights_K = balancer.weights(signals([1.0, 0.0, -1.0 - epoch], epoch=epoch))
    assert weights_K.tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_cov_weighs_by_the_ratios_coefficients_of_variation() -> None:
    balancer, generator = made("cov", 3), np.random.default_rng(5)
    losses_SK = generator.random((30, 3)) * [1.0, 100.0, 1e-3] + [0.0, 1000.0, 0.0]
    for step, losses_K in enumerate(losses_SK):
        weights_K = balancer.weights(signals(losses_K.tolist())).numpy()
        means = [losses_SK[:number].mean(0) for number in range(1, step)]
        ratios_SK = np.array([np.ones(3), *(now / mean for now, mean in zip(losses_SK[1:step], means, strict=True))])
        coefficients_K = ratios_SK[:step].std(0) / ratios_SK[:step].mean(0) if step > 1 else np.ones(3)
        np.testing.assert_allclose(weights_K, coefficients_K / coefficients_K.sum(), rtol=1e-9)


def test_cov_gives_a_task_without_a_past_its_equal_share() -> None:
    balancer = made("cov", 3)
    for losses in ([1.0, 2.0], [2.0, 2.1], [1.0, 2.0]):
        balancer.weights(signals(losses))
    known = made("cov", 2)
    known.load_state_dict({name: values[:2] for name, values in balancer.state_dict().items()})
    weights_K = balancer.weights(signals([1.0, 2.0, 7.0]))
    assert weights_K[2].item() == pytest.approx(1 / 3)
    torch.testing.assert_close(weights_K[:2], known.weights(signals([1.0, 2.0])) * 2 / 3)


def test_cov_weighs_all_alike_while_nothing_varies() -> None:
    balancer = made("cov", 2)
    for _ in range(5):
        assert balancer.weights(signals([0.0, 3.0])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("mu", [0.01, 0.5, 1.0])
def test_stch_is_the_smooth_maximum_of_log_ratios_to_the_nadir(mu: float) -> None:
    balancer = made("stch", 3, mu=mu, warmup_epochs=2)
    for epoch, losses in ((0, [9.0, 9.0, 9.0]), (1, [1.0, 20.0, 5.0]), (1, [3.0, 20.0, 7.0])):
        weights_K = balancer.weights(signals(losses, epoch=epoch))
        np.testing.assert_allclose(weights_K.numpy(), 1 / np.array(losses) / 3, rtol=1e-12)
    nadirs_K = torch.tensor([2.0, 20.0, 6.0], dtype=torch.float64)

    def objective(losses_K: Tensor) -> Tensor:
        return STCH(mu, weights=torch.ones_like(losses_K))((losses_K / nadirs_K).log())

    for epoch, losses in ((2, [1.0, 21.0, 5.0]), (3, [0.1, 2.0, 0.7])):
        weights_K = balancer.weights(signals(losses, epoch=epoch))
        torch.testing.assert_close(weights_K, _gradient(objective, losses), rtol=1e-9, atol=1e-300)


def test_stch_takes_a_late_tasks_nadir_from_its_first_epoch() -> None:
    balancer = made("stch", 2, warmup_epochs=1)
    balancer.weights(signals([2.0], places=[0], epoch=0))
    # The nadir is unknown, so the ratio is 1; as is that of the first task at its nadir.
    assert balancer.weights(signals([2.0, 5.0], epoch=1)).tolist() == pytest.approx([0.5 / 2, 0.5 / 5])
    assert balancer.weights(signals([2.0, 10.0], epoch=2)).tolist() == pytest.approx([1 / 3 / 2, 2 / 3 / 10])
    assert balancer.weights(signals([2.0, 5.0], epoch=3)).tolist() == pytest.approx([0.5 / 2, 0.5 / 5])


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("dwa", {"temperature": 0.0}, "'temperature' of the balancer 'dwa' is 0.0: give a finite number above 0"),
        ("stch", {"mu": -1.0}, "'mu' of the balancer 'stch' is -1.0: give a finite number above 0"),
        ("stch", {"warmup_epochs": 0}, "'warmup_epochs' of the balancer 'stch' is 0: give a whole number from 1"),
        ("stch", {"epsilon": 0.0}, "'epsilon' of the balancer 'stch' is 0.0: give a finite number above 0"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        made(name, 3, **options)
