"""Quadratic programmes over non-negative vectors, against an independent active-set solver."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from descant.balance.quadratic import RIDGE, definite, nonnegative
from gramians import KINDS, gradients


def objective(quadratic: torch.Tensor, linear: torch.Tensor, solution: torch.Tensor) -> torch.Tensor:
    return 0.5 * ((solution @ quadratic) * solution).sum(1) - (linear * solution).sum(1)


def problem(kind: str, tasks: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.nn.functional.normalize(gradients(kind, tasks, seed), dim=1)
    return definite((rows @ rows.T).fill_diagonal_(1)), rows


@pytest.mark.parametrize("kind", KINDS)
@given(tasks=st.integers(2, 12), seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_solutions_meet_the_conditions_of_the_minimum(kind: str, tasks: int, seed: int) -> None:
    quadratic, rows = problem(kind, tasks, seed)
    linear = -(rows @ rows.T)
    found = nonnegative(quadratic, linear)
    slope = found @ quadratic - linear
    scale = found.abs().amax(1, keepdim=True).clamp(min=1)
    assert (found >= 0).all()
    assert (slope >= -1e-9 * scale).all()
    assert ((slope * found).abs() <= 1e-8 * scale**2).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tasks", [8, 40])
def test_projections_are_as_short_as_those_of_an_active_set_solver(kind: str, tasks: int) -> None:
    quadratic, rows = problem(kind, tasks, 3)
    found = nonnegative(quadratic, -(rows @ rows.T))
    moved = rows + found @ rows
    for task in range(0, tasks, 7):
        other, shortest = nnls(rows.T.numpy(), -rows[task].numpy(), maxiter=10000)
        # The ridge gives up at most half of itself times the square of the solution's length.
        assert moved[task].norm() ** 2 <= shortest**2 + RIDGE * (1 + (other**2).sum()) + 1e-11
        assert (moved[task] @ rows.T).min() > -1e-8


def test_rows_are_solved_apart() -> None:
    quadratic, rows = problem("dependent", 10, 0)
    linear = -(rows @ rows.T)
    together = nonnegative(quadratic, linear)
    alone = torch.cat([nonnegative(quadratic, linear[task : task + 1]) for task in range(10)])
    torch.testing.assert_close(objective(quadratic, linear, together), objective(quadratic, linear, alone))
    assert (nonnegative(quadratic, -torch.ones_like(linear)) == 0).all()


def test_a_gramian_that_was_summed_in_few_bits_is_made_definite() -> None:
    rows = torch.nn.functional.normalize(gradients("dependent", 20, 0), dim=1)
    gramian = (rows @ rows.T).bfloat16().double()
    assert torch.linalg.eigvalsh(gramian)[0] < -1e-4
    ridged = definite(gramian)
    assert torch.linalg.eigvalsh(ridged)[0] > 0
    assert (ridged - gramian).diagonal().max() < 0.1
    identity = torch.eye(3, dtype=torch.float64)
    assert definite(identity).equal(identity * (1 + RIDGE))
