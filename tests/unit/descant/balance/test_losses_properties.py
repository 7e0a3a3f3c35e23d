"""What holds for every balancer that decides from losses, whatever its method."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from descant.balance import Balancer, LossBalancer, balancers
from signals import made, signals

NAMES = [name for name, cls in balancers.items() if issubclass(cls, LossBalancer) and cls.__module__.startswith("desc")]
RANDOM = {"rlw", "exp3s", "thompson", "policy_gradient"}
SHARES = {"rlw", "cov", "famo"}
"""Methods whose weights sum to 1."""
STEPS_AN_EPOCH = 3

losses_of_any_size = st.one_of(st.just(0.0), st.floats(-30, 30).map(lambda exponent: 10.0**exponent))


def runs(tasks: int, elements: st.SearchStrategy[float] = losses_of_any_size) -> st.SearchStrategy[list[list[float]]]:
    """Return losses of so many tasks, step by step."""
    return st.lists(st.lists(elements, min_size=tasks, max_size=tasks), min_size=1, max_size=22)


def follow(
    balancer: Balancer,
    steps: Sequence[Sequence[float]],
    places: Sequence[int] | None = None,
    main: int = 0,
    first: int = 0,
) -> list[Tensor]:
    """Return the weights at each step; after it a loss is its square root, and epochs end with an evaluation."""
    weights = []
    assert isinstance(balancer, LossBalancer)
    places = range(len(steps[0])) if places is None else places
    for step, losses in enumerate(steps, start=first):
        epoch = step // STEPS_AN_EPOCH
        if step and step % STEPS_AN_EPOCH == 0:
            metrics = {balancer.tasks[place]: 1 / (1 + abs(loss)) for place, loss in zip(places, losses, strict=True)}
            balancer.after_evaluation(epoch - 1, metrics)
        seen = signals(losses, places=places, step=step, epoch=epoch, main=main)
        weights.append(balancer.weights(seen))
        if balancer.reads_after:
            balancer.after_step(seen, seen.losses_P.abs().sqrt())
    return weights


def tensors(state: Any) -> list[Tensor]:
    """Return the tensors in a state."""
    if isinstance(state, Tensor):
        return [state]
    inner = state.values() if isinstance(state, dict) else state if isinstance(state, list) else ()
    return [tensor for value in inner for tensor in tensors(value)]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(steps=runs(3))
def test_weights_are_numbers_for_losses_of_any_size(name: str, steps: list[list[float]]) -> None:
    for weights_K in follow(made(name, 3), steps):
        assert weights_K.dtype == torch.float64
        assert weights_K.float().isfinite().all()  # as the engine takes them
        assert (weights_K >= 0).all()
        if name in SHARES:
            assert weights_K.sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_numbers_for_negative_losses(name: str) -> None:
    for weights_K in follow(made(name, 3), [[-1.0, 2.0 - step, -1e30] for step in range(12)]):
        assert weights_K.float().isfinite().all()
        assert (weights_K >= 0).all()


@pytest.mark.parametrize("name", sorted(set(NAMES) - RANDOM))
@settings(max_examples=25, deadline=None)
@given(steps=runs(3, st.floats(1e-4, 1e4)), order=st.permutations(range(3)))
def test_weights_move_with_their_tasks(name: str, steps: list[list[float]], order: list[int]) -> None:
    moved = follow(_named(name, order), [[losses[place] for place in order] for losses in steps], main=order.index(0))
    for weights_K, moved_K in zip(follow(made(name, 3), steps), moved, strict=True):
        torch.testing.assert_close(moved_K, weights_K[order], rtol=1e-6, atol=1e-12)


def _named(name: str, order: list[int]) -> Balancer:
    return balancers.build(name, {}, tasks=[str(place) for place in order])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(steps=runs(2))
def test_a_task_that_no_step_teaches_is_as_if_it_did_not_exist(name: str, steps: list[list[float]]) -> None:
    taught = follow(made(name, 3), steps, places=[0, 2])
    for weights_P, weights_K in zip(taught, follow(made(name, 2), steps), strict=True):
        assert torch.equal(weights_P, weights_K)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_leaves_alone_what_is_known_of_tasks_that_it_does_not_teach(name: str) -> None:
    balancer = made(name, 3)
    follow(balancer, [[1.0, 2.0, 3.0], [3.0, 1.0, 2.0], [2.0, 0.5, 0.1], [4.0, 3.0, 2.0]])
    before = [tensor.clone() for tensor in tensors(balancer.state_dict())]
    follow(balancer, [[7.0, 9.0]], places=[0, 2], first=4)
    for then, now in zip(before, tensors(balancer.state_dict()), strict=True):
        assert then.shape == now.shape == (3,)
        assert torch.equal(then[1], now[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stop", [1, 4, 6, 13])
def test_a_run_that_is_taken_up_again_goes_on_as_if_it_had_not_stopped(name: str, stop: int) -> None:
    generator = torch.Generator().manual_seed(1)
    steps = (torch.rand(20, 3, generator=generator, dtype=torch.float64) + 0.1).tolist()
    whole, broken, resumed = made(name, 3), made(name, 3), made(name, 3)
    expected = follow(whole, steps)
    follow(broken, steps[:stop])
    file = io.BytesIO()
    torch.save(broken.state_dict(), file)
    kept = [tensor.clone() for tensor in tensors(broken.state_dict())]
    resumed.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    follow(broken, steps[stop:], first=stop)
    for weights_K, expected_K in zip(follow(resumed, steps[stop:], first=stop), expected[stop:], strict=True):
        assert torch.equal(weights_K, expected_K)
    again = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    assert all(torch.equal(then, now) for then, now in zip(kept, tensors(again), strict=True))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(steps=runs(1))
def test_one_task_alone_has_a_weight(name: str, steps: list[list[float]]) -> None:
    for weights_K in follow(made(name, 1), steps):
        assert weights_K.shape == (1,)
        assert weights_K.float().isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_docstrings_fit_the_listing(name: str) -> None:
    doc = balancers.get(name).__doc__
    assert doc is not None
    assert doc.splitlines()[0].endswith(".")
