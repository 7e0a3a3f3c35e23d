"""Balancers from the Gramian whose rule is a formula or learns from step to step, on numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torchjd.aggregation import GradVacWeighting

from descant.errors import UserError
from gramians import gradients
from signals import made, signals

SIXTY = [[4.0, 1.0, -1.0], [1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]
"""A main gradient of length 2, and two auxiliary ones of length 1, at 60 and 120 degrees from it."""


def main_first(name: str, **options: object) -> list[float]:
    return made(name, 3, **options).weights(signals([1.0] * 3, torch.tensor(SIXTY).double(), main=0)).tolist()


def test_auxiliary_tasks_are_gated_by_their_cosine() -> None:
    assert main_first("cosine_gating") == [1.0, 0.5, 0.0]
    assert main_first("cosine_gating", weighted=False) == [1.0, 1.0, 0.0]


def test_what_is_against_the_main_task_is_taken_away() -> None:
    assert main_first("main_projection") == [1.25, 1.0, 1.0]


def test_auxiliary_gradients_are_as_long_as_the_main_one() -> None:
    assert main_first("magnitude_matching") == [1.0, 2.0, 2.0]
    assert main_first("magnitude_matching", factor=0.5) == [1.0, 1.0, 1.0]


def test_the_main_task_may_be_anywhere() -> None:
    gramian = torch.tensor(SIXTY).double()[[1, 0, 2]][:, [1, 0, 2]]
    assert made("cosine_gating", 3).weights(signals([1.0] * 3, gramian, main=1)).tolist() == [0.5, 1.0, 0.0]


def test_auxiliary_weights_follow_the_inner_products_of_some_steps() -> None:
    balancer = made("ol_aux", 3, beta=0.25, horizon=2, limit=1.75)
    told = [signals([1.0] * 3, torch.tensor(SIXTY).double(), main=0, step=step) for step in range(7)]
    seen = [balancer.weights(each).tolist() for each in told]
    assert seen[0] == seen[1] == [1.0, 1.0, 1.0]
    assert seen[2] == seen[3] == [1.0, 1.5, 0.5]
    assert seen[4] == [1.0, 1.75, 0.0]  # no further than the limit
    assert seen[6] == [1.0, 1.75, 0.0]  # no lower than 0


def test_gradnorm_makes_gradients_alike_where_alpha_is_0() -> None:
    balancer = made("gradnorm", 3, alpha=0.0, lr=0.02)
    gramian = torch.tensor([1.0, 4.0, 16.0]).double().diag()
    first = balancer.weights(signals([1.0] * 3, gramian))
    assert first.tolist() == [1.0, 1.0, 1.0]
    for step in range(600):
        weights = balancer.weights(signals([1.0] * 3, gramian, step=step))
        assert float(weights.sum()) == pytest.approx(3)
    lengths = weights * torch.tensor([1.0, 2.0, 4.0])
    assert (lengths / lengths.mean() - 1).abs().max() < 0.1


def test_gradnorm_gives_the_task_that_fell_less_the_longer_gradient() -> None:
    balancer = made("gradnorm", 2, alpha=1.0)
    gramian = torch.eye(2).double()
    balancer.weights(signals([2.0, 5.0], gramian))
    for step in range(1, 400):
        weights = balancer.weights(signals([1.5, 1.25], gramian, step=step))
    assert float(weights[0] / weights[1]) == pytest.approx(3, rel=0.1)  # 3/4 over 1/4 of the first losses


def test_full_imtl_has_the_direction_of_imtl_g_and_scales_losses_to_1() -> None:
    rows = gradients("conflicting", 3, 0)
    gramian = rows @ rows.T
    balancer, plain = made("imtl", 3, lr=0.05), made("imtl_g", 3)
    losses = [0.5, 2.0, 8.0]
    expected = plain.weights(signals(losses, gramian))
    torch.testing.assert_close(balancer.weights(signals(losses, gramian)), expected)
    for step in range(1, 800):
        weights = balancer.weights(signals(losses, gramian, step=step))
    torch.testing.assert_close(weights / weights.sum(), expected, rtol=1e-6, atol=1e-9)
    # IMTL-G of the gradients over the losses: Σ α_i ℓ_i = 1, as the scales are 1/ℓ_i.
    assert float(weights @ torch.tensor(losses).double()) == pytest.approx(1, rel=0.01)


def test_gradvac_of_two_tasks_goes_torchjds_way() -> None:
    mine, theirs = made("gradvac", 2, beta=0.3), GradVacWeighting(beta=0.3, eps=0.0)
    for step in range(12):
        rows = gradients("conflicting" if step % 3 else "random", 2, step) + 1.5 * (step < 6)
        gramian = rows @ rows.T
        torch.testing.assert_close(mine.weights(signals([1.0] * 2, gramian, step=step)), theirs(gramian))


def test_gradvac_starts_as_pcgrad() -> None:
    rows = gradients("conflicting", 6, 0)
    told = signals([1.0] * 6, rows @ rows.T, step=3)
    again = signals([1.0] * 6, rows @ rows.T, step=3)
    torch.testing.assert_close(made("gradvac", 6).weights(told), made("pcgrad", 6).weights(again))


def test_pcgrad_takes_the_others_in_an_order_of_chance_and_never_itself() -> None:
    rows = gradients("conflicting", 6, 0)
    seen = torch.stack([made("pcgrad", 6).weights(signals([1.0] * 6, rows @ rows.T, step=step)) for step in range(20)])
    assert len(seen.unique(dim=0)) > 10
    assert (seen >= 1 - 1e-12).all()  # what others get removed only adds to a task's own share


def test_gradients_at_right_angles_are_left_alone() -> None:
    lengths = torch.tensor([1.0, 2.0, 4.0]).double()
    told = signals([1.0] * 3, lengths.square().diag())
    for name, expected in {
        "pcgrad": [1.0, 1.0, 1.0],
        "upgrad": [1 / 3] * 3,
        "dualproj": [1 / 3] * 3,
        "nash_mtl": [1.0, 0.5, 0.25],
        "fairgrad": [1.0, 2 ** (-4 / 3), 4 ** (-4 / 3)],
        "mgda": [16 / 21, 4 / 21, 1 / 21],
        "imtl_g": [4 / 7, 2 / 7, 1 / 7],
        "config": [7 / 3, 7 / 6, 7 / 12],
        "aligned_mtl": [1 / 3, 1 / 6, 1 / 12],
    }.items():
        assert made(name, 3).weights(told).tolist() == pytest.approx(expected, rel=1e-6), name
    assert made("aligned_mtl", 3, scale="median").weights(told)[0] == pytest.approx(2 / 3)
    assert made("aligned_mtl", 3, scale="rmse").weights(told)[0] == pytest.approx(math.sqrt(7) / 3)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("gradnorm", {"alpha": -1.0}, "'alpha' of the balancer 'gradnorm' is -1.0: give a finite number from 0"),
        ("gradnorm", {"lr": 0.0}, "'lr' of the balancer 'gradnorm' is 0.0: give a finite number above 0"),
        ("gradvac", {"beta": 1.5}, "'beta' of the balancer 'gradvac' is 1.5: give a number from 0 to 1"),
        ("cagrad", {"c": math.inf}, "'c' of the balancer 'cagrad' is inf: give a finite number from 0"),
        ("nash_mtl", {"max_norm": 0.0}, "'max_norm' of the balancer 'nash_mtl' is 0.0: give a finite number above 0"),
        ("fairgrad", {"alpha": 0.0}, "'alpha' of the balancer 'fairgrad' is 0.0: give a number from 0.5 to 10"),
        ("imtl", {"lr": -1.0}, "'lr' of the balancer 'imtl' is -1.0: give a finite number above 0"),
        ("ol_aux", {"horizon": 0}, "'horizon' of the balancer 'ol_aux' is 0: give a whole number from 1"),
        ("ol_aux", {"limit": 0.0}, "'limit' of the balancer 'ol_aux' is 0.0: give a finite number above 0"),
        (
            "magnitude_matching",
            {"factor": -1.0},
            "'factor' of the balancer 'magnitude_matching' is -1.0: give a finite",
        ),
        ("aligned_mtl", {"scale": "max"}, "'scale' of the balancer 'aligned_mtl'"),
        ("mgda", {"c": 1.0}, "the balancer 'mgda' has no option 'c'"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        made(name, 3, **options)
