"""The methods that make a step's direction from the gradients themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from descant.balance import GradientBalancer, balancers
from descant.balance.moco import on_simplex
from descant.errors import UserError
from signals import made as gramian_balancer
from signals import signals

METHODS = [name for name, cls in balancers.items() if issubclass(cls, GradientBalancer) and cls.__module__ != __name__]
METHODS = [name for name in METHODS if balancers.get(name).__module__.startswith("descant.")]


def made(name: str, tasks: int, **options: object) -> GradientBalancer:
    balancer = balancers.build(name, options, tasks=[str(number) for number in range(tasks)])
    assert isinstance(balancer, GradientBalancer)
    return balancer


def gradients(tasks: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"weight": (4, 3), "bias": (4,)}
    return {
        name: torch.randn(tasks, *shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()
    }


def flat(of: Any) -> torch.Tensor:
    """Return gradients side by side: (P, N) of several tasks, (N,) of all together."""
    return torch.cat([of["weight"].flatten(-2), of["bias"]], -1)


def step(balancer: GradientBalancer, given: dict[str, torch.Tensor], number: int = 0, **told: Any) -> torch.Tensor:
    rows = flat(given)
    return flat(balancer.direction(signals([1.0] * len(rows), rows @ rows.T, step=number, **told), given).gradients)


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_tasks_does_not_matter(name: str) -> None:
    order = torch.tensor([2, 0, 1])
    one, other = made(name, 3), made(name, 3)
    for number in range(3):
        now = gradients(3, number)
        expected = step(one, now, number)
        torch.testing.assert_close(step(other, {key: each[order] for key, each in now.items()}, number), expected)


@pytest.mark.parametrize("name", METHODS)
def test_a_step_leaves_what_is_known_of_tasks_that_it_does_not_teach(name: str) -> None:
    through, without = made(name, 3), made(name, 2)
    for number in range(4):
        now = gradients(2, number)
        torch.testing.assert_close(
            step(through, now, number, places=[0, 2], main=0), step(without, now, number, main=0)
        )


@pytest.mark.parametrize("name", METHODS)
def test_what_is_saved_goes_on_as_it_would_have(name: str) -> None:
    whole, again = made(name, 3), made(name, 3)
    for number in range(2):
        step(whole, gradients(3, number), number)
    saved = whole.state_dict()
    expected = [step(whole, gradients(3, number), number) for number in (2, 3)]
    again.load_state_dict(saved)  # after two more steps of the first: what was saved is not changed by them
    for number, direction in zip((2, 3), expected, strict=True):
        assert torch.equal(step(again, gradients(3, number), number), direction)


@pytest.mark.parametrize("name", METHODS)
def test_gradients_of_zero_give_no_direction_and_no_nan(name: str) -> None:
    nothing = {key: torch.zeros_like(each) for key, each in gradients(2).items()}
    balancer = made(name, 2)
    for number in range(3):
        assert not step(balancer, nothing, number).any()
    assert step(balancer, gradients(2), 3).isfinite().all()


def test_graddrop_lets_one_sign_through_at_each_entry() -> None:
    now = gradients(3)
    rows, direction = flat(now), step(made("graddrop", 3), now)
    positive, negative = rows.clamp(min=0).sum(0), rows.clamp(max=0).sum(0)
    is_positive, is_negative = direction == positive, direction == negative
    assert (is_positive | is_negative).all() and is_positive.any() and is_negative.any()
    alike = (rows > 0).all(0) | (rows < 0).all(0)
    assert alike.any() and torch.equal(direction[alike], rows.sum(0)[alike])


def test_graddrop_keeps_positive_gradients_as_often_as_they_are_pure() -> None:
    rows = torch.tensor([3.0, -1.0], dtype=torch.float64).reshape(2, 1, 1).expand(2, 1, 20_000)
    masks, left_P = made("graddrop", 2).masks(signals([1.0, 1.0]), [rows])
    kept = masks[0].mean((1, 2))
    assert kept[0] == pytest.approx(0.75, abs=0.02) and kept.sum() == pytest.approx(1.0)
    torch.testing.assert_close(left_P, kept.double())


def test_graddrop_that_leaks_everything_is_the_plain_sum() -> None:
    now = gradients(3)
    torch.testing.assert_close(step(made("graddrop", 3, leak=1.0), now), flat(now).sum(0))


def test_db_mtl_by_hand() -> None:
    balancer, mean = made("db_mtl", 3, beta=0.9, sigma=0.5), torch.zeros(3, 16, dtype=torch.float64)
    for number in range(4):
        now = gradients(3, number)
        beta = 0.9 / (number + 1) ** 0.5
        mean = beta * mean + (1 - beta) * flat(now)
        lengths = mean.norm(dim=1)
        torch.testing.assert_close(step(balancer, now, number), (lengths.max() / lengths) @ mean)


def test_db_mtl_without_memory_makes_all_gradients_as_long_as_the_longest() -> None:
    now = {"weight": torch.zeros(2, 4, 3, dtype=torch.float64), "bias": torch.zeros(2, 4, dtype=torch.float64)}
    now["bias"][0, 0], now["bias"][1, 1] = 3.0, 0.5
    assert step(made("db_mtl", 2, beta=0.0), now)[-4:].tolist() == [3.0, 3.0, 0.0, 0.0]


def test_moco_by_hand() -> None:
    balancer, tracked, shares = made("moco", 2, gamma=0.01, rho=0.3), torch.zeros(2, 16).double(), torch.ones(2) / 2
    for number in range(4):
        now = gradients(2, number)
        tracked = tracked + 0.1 * (flat(now) - tracked)
        shares = shares.double() - 0.01 * (tracked @ tracked.T + 0.3 * torch.eye(2)) @ shares.double()
        shares = shares + (1 - shares.sum()) / 2  # the nearest of sum 1; these stay positive
        assert (shares > 0).all()
        torch.testing.assert_close(step(balancer, now, number), shares @ tracked)


def test_moco_on_gradients_that_stay_ends_at_the_shortest_mean() -> None:
    now = gradients(3)
    balancer = made("moco", 3, beta=1.0, gamma=0.01, rho=0.0)
    for number in range(2_000):
        direction = step(balancer, now, number)
    gramian = flat(now) @ flat(now).T
    shortest = gramian_balancer("mgda", 3).weights(signals([1.0] * 3, gramian))
    torch.testing.assert_close(direction, shortest @ flat(now), rtol=1e-6, atol=1e-8)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
def test_the_nearest_point_of_the_simplex_is_optimal(values: list[float]) -> None:
    point = torch.tensor(values, dtype=torch.float64)
    nearest = on_simplex(point)
    assert (nearest >= 0).all() and float(nearest.sum()) == pytest.approx(1.0)
    pulls = point - nearest  # alike on the entries above 0, and no larger elsewhere: the conditions of optimality
    assert (pulls <= pulls[nearest > 0].min() + 1e-9).all()
    assert float(pulls[nearest > 0].max() - pulls[nearest > 0].min()) < 1e-9


def test_excess_mtl_by_hand() -> None:
    balancer, squares = made("excess_mtl", 2, eta=0.5), torch.zeros(2, 16, dtype=torch.float64)
    logs, first = torch.zeros(2, dtype=torch.float64), None
    for number in range(4):
        now = gradients(2, number)
        squares = squares + flat(now).square()
        excess = (flat(now).square() / (squares + 1e-7).sqrt()).sum(1)
        if first is None:
            first = excess
        else:
            logs = logs + 0.5 * excess / first
        torch.testing.assert_close(step(balancer, now, number), 2 * torch.softmax(logs, 0) @ flat(now))


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("graddrop", {"leak": 1.5}, "leak"),
        ("db_mtl", {"beta": 1.0}, "beta"),
        ("db_mtl", {"sigma": -1.0}, "sigma"),
        ("moco", {"beta": 0.0}, "beta"),
        ("moco", {"gamma": 0.0}, "gamma"),
        ("moco", {"rho": -0.1}, "rho"),
        ("excess_mtl", {"eta": 0.0}, "eta"),
    ],
)
def test_an_option_out_of_its_range_is_refused(name: str, options: dict[str, float], what: str) -> None:
    with pytest.raises(UserError, match=f"the option '{what}' of the balancer '{name}' is "):
        made(name, 2, **options)
