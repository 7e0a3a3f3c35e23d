"""What all balancers that decide from the Gramian have in common, and which promises each makes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.balance import GramianBalancer, Signals, balancers
from gramians import KINDS, gradients
from signals import made, signals

NAMES = sorted(name for name, cls in balancers.items() if issubclass(cls, GramianBalancer))
MAIN_FIRST = [name for name in NAMES if balancers.get(name).main_first]
RANDOM = ("gradvac", "pcgrad")
STATEFUL = ("gradnorm", "gradvac", "imtl", "ol_aux")
SCALING = {"fairgrad": -4 / 3, "nash_mtl": -1.0}
"""The power of the gradients' common scale that the weights go with, where that is not 0."""
NEVER_UPHILL = ("config", "dualproj", "fairgrad", "imtl_g", "mgda", "nash_mtl", "upgrad")
KIND = st.sampled_from(KINDS)
COUNT = st.integers(2, 9)
SEED = st.integers(0, 10**6)
FEW = settings(max_examples=25, deadline=None)


def losses(count: int, seed: int) -> list[float]:
    return [float(loss) for loss in torch.rand(count, generator=torch.Generator().manual_seed(seed)) + 0.1]


def test_the_lists_of_this_file_are_whole() -> None:
    assert len(NAMES) == 17
    assert MAIN_FIRST == ["cosine_gating", "magnitude_matching", "main_projection", "ol_aux"]
    for name in NAMES:
        assert bool(made(name, 3).state_dict()) == (name in STATEFUL)


@pytest.mark.parametrize("name", NAMES)
@given(kind=KIND, count=COUNT, seed=SEED, exponent=st.integers(-30, 30), steps=st.integers(1, 4))
@FEW
def test_weights_are_numbers(name: str, kind: str, count: int, seed: int, exponent: int, steps: int) -> None:
    balancer = made(name, count)
    for step in range(steps):
        rows = gradients(kind, count, seed + step) * 10.0**exponent
        weights = balancer.weights(signals(losses(count, seed), rows @ rows.T, step=step))
        assert weights.dtype == torch.float64
        assert weights.isfinite().all()
        assert weights.abs().max() <= 1e36  # numbers in float32 too


@pytest.mark.parametrize("bits", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_weights_from_a_gramian_of_few_bits_are_numbers(name: str, bits: torch.dtype) -> None:
    for kind in KINDS:
        rows = gradients(kind, 12, 0)
        weights = made(name, 12).weights(signals([1.0] * 12, (rows @ rows.T).to(bits).double()))
        assert weights.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_odd_losses_are_numbers(name: str) -> None:
    rows = gradients("conflicting", 3, 0)
    balancer = made(name, 3)
    for step, odd in enumerate(([0.0, -1.0, 1e30], [1e30, 0.0, 1.0], [1.0, 1e-30, -1e30])):
        assert balancer.weights(signals(odd, rows @ rows.T, step=step)).isfinite().all()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in RANDOM])
@given(kind=st.sampled_from(("random", "conflicting", "ill-scaled")), count=COUNT, seed=SEED)
@FEW
def test_the_order_of_the_tasks_does_not_matter(name: str, kind: str, count: int, seed: int) -> None:
    if name == "aligned_mtl" and kind == "ill-scaled":
        kind = "random"  # the least eigenvalue has few digits, and all weights go with it
    rows = gradients(kind, count, seed)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    values = torch.tensor(losses(count, seed))
    one, other = made(name, count), made(name, count)
    for step in range(2):
        weights = one.weights(signals(values.tolist(), rows @ rows.T, main=0, step=step))
        moved, main = rows[order], order.tolist().index(0)
        again = other.weights(signals(values[order].tolist(), moved @ moved.T, main=main, step=step))
        difference = (again @ moved - weights @ rows).norm()
        assert difference <= 1e-6 * (weights.abs() * rows.norm(dim=1)).sum()


@pytest.mark.parametrize("name", NAMES)
@given(kind=st.sampled_from(("random", "conflicting")), count=COUNT, seed=SEED, power=st.integers(-60, 60))
@FEW
def test_a_common_scale_changes_weights_as_the_paper_says(
    name: str, kind: str, count: int, seed: int, power: int
) -> None:
    rows, scale = gradients(kind, count, seed), 2.0**power
    values = losses(count, seed)
    weights = made(name, count).weights(signals(values, rows @ rows.T))
    scaled = made(name, count).weights(signals(values, rows @ rows.T * scale**2))
    torch.testing.assert_close(scaled, weights * scale ** SCALING.get(name, 0.0), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["nash_mtl", "imtl_g", "config"])
@given(count=COUNT, seed=SEED)
@FEW
def test_the_scale_of_one_loss_does_not_turn_the_direction(name: str, count: int, seed: int) -> None:
    rows = gradients("random", count, seed)
    scaled = rows * torch.logspace(3, -3, count, dtype=torch.float64)[:, None]
    one, other = (made(name, count).weights(signals([1.0] * count, r @ r.T)) @ r for r in (rows, scaled))
    torch.testing.assert_close(other / other.norm(), one / one.norm(), rtol=1e-6, atol=1e-8)
    if name == "nash_mtl":
        torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", NEVER_UPHILL)
@given(kind=KIND, count=COUNT, seed=SEED)
@FEW
def test_no_task_is_led_uphill(name: str, kind: str, count: int, seed: int) -> None:
    if name in ("imtl_g", "config") and kind in ("dependent", "ill-conditioned", "opposite"):
        kind = "random"  # there the promise is one of least squares, or of few digits
    rows = gradients(kind, count, seed)
    weights = made(name, count).weights(signals([1.0] * count, rows @ rows.T))
    lengths = rows.norm(dim=1).clamp(min=1e-300)
    along = (rows / lengths[:, None]) @ (weights @ rows)
    assert along.min() >= -1e-6 * (weights.abs() * lengths).amax()


@pytest.mark.parametrize("name", ["pcgrad", "gradvac"])
@given(kind=KIND, seed=SEED)
@FEW
def test_of_two_tasks_none_is_led_uphill_by_surgery(name: str, kind: str, seed: int) -> None:
    rows = gradients(kind, 2, seed)
    weights = made(name, 2).weights(signals([1.0, 1.0], rows @ rows.T))
    assert (rows @ (weights @ rows)).min() >= -1e-9 * rows.norm(dim=1).max() ** 2


@pytest.mark.parametrize("name", ["cosine_gating", "main_projection"])
@given(kind=KIND, count=COUNT, seed=SEED)
@FEW
def test_the_main_task_is_not_led_uphill(name: str, kind: str, count: int, seed: int) -> None:
    rows = gradients(kind, count, seed)
    weights = made(name, count).weights(signals([1.0] * count, rows @ rows.T, main=0))
    assert rows[0] @ (weights @ rows) >= rows[0] @ rows[0] * (1 - 1e-9)


@pytest.mark.parametrize("name", NAMES)
@given(kind=KIND, count=st.integers(3, 8), seed=SEED)
@FEW
def test_an_absent_task_is_as_if_there_were_none(name: str, kind: str, count: int, seed: int) -> None:
    rows = gradients(kind, count, seed)
    gramian = rows @ rows.T
    with_it, without = made(name, count + 1), made(name, count)
    places = [place for place in range(count + 1) if place != 1]
    for step in range(6):
        values = losses(count, seed + step)
        one = with_it.weights(signals(values, gramian, places=places, step=step))
        assert torch.equal(one, without.weights(signals(values, gramian, step=step)))


@pytest.mark.parametrize("name", NAMES)
def test_a_task_without_a_gradient_is_as_if_there_were_none(name: str) -> None:
    rows = gradients("conflicting", 4, 0)
    with_it = torch.cat([rows, torch.zeros_like(rows[:1])])
    weights = made(name, 5).weights(signals([*losses(4, 0), 0.3], with_it @ with_it.T))
    expected = made(name, 4).weights(signals(losses(4, 0), rows @ rows.T))
    torch.testing.assert_close(weights[:4], expected)
    assert float(weights[4]) == pytest.approx(float(expected.mean()))
    none = torch.zeros(3, 3, dtype=torch.float64)
    assert made(name, 3).weights(signals([1.0] * 3, none)).tolist() == [1.0] * 3


@pytest.mark.parametrize("name", MAIN_FIRST)
def test_a_main_task_without_a_gradient_leaves_equal_weights(name: str) -> None:
    rows = gradients("random", 3, 0)
    rows[0] = 0
    assert made(name, 3).weights(signals([1.0] * 3, rows @ rows.T, main=0)).tolist() == [1.0] * 3


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_of_one_task_is_trained_as_it_is(name: str) -> None:
    gramian = torch.tensor([[4.0]], dtype=torch.float64)
    assert made(name, 1).weights(signals([2.0], gramian)).tolist() == [1.0]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MAIN_FIRST])
def test_a_task_alone_keeps_its_direction(name: str) -> None:
    gramian = torch.tensor([[4.0]], dtype=torch.float64)
    alone = {"cagrad": 1.4, "nash_mtl": 0.5, "fairgrad": 2 ** (-4 / 3)}.get(name, 1.0)
    assert made(name, 3).weights(signals([2.0], gramian, places=[1], main=None)).tolist() == pytest.approx([alone])


@pytest.mark.parametrize("name", NAMES)
def test_a_state_goes_on_as_if_never_put_away(name: str) -> None:
    first, second = made(name, 4), made(name, 4)
    for step in range(7):
        first.weights(step_signals(step))
    state = first.state_dict()
    after = [first.weights(step_signals(step)) for step in range(7, 14)]
    second.load_state_dict(state)
    assert all(map(torch.equal, after, [second.weights(step_signals(step)) for step in range(7, 14)]))


def step_signals(step: int) -> Signals:
    rows = gradients("conflicting", 4, step) * 0.1
    return signals(losses(4, step), rows @ rows.T, step=step)
