"""What the balancers decide, against closed forms, torchjd where it is right, and a convex solver."""

from __future__ import annotations

import math

import cvxpy
import pytest
import torch
from scipy.optimize import nnls
from torchjd.aggregation import AlignedMTLWeighting, ConFIG, FairGradWeighting, IMTLGWeighting, PCGradWeighting

from descant.balance.bargaining import RIDGE
from gramians import KINDS, gradients
from signals import made, signals

SOUND = ("random", "conflicting", "ill-scaled")
SIZES = (2, 3, 8, 40)


def decided(name: str, rows: torch.Tensor, **options: object) -> torch.Tensor:
    return made(name, len(rows), **options).weights(signals([1.0] * len(rows), rows @ rows.T))


def direction(name: str, rows: torch.Tensor, **options: object) -> torch.Tensor:
    return decided(name, rows, **options) @ rows


def longest(rows: torch.Tensor) -> float:
    return float(rows.norm(dim=1).max())


def pair(angle: float, first: float = 1.0, second: float = 1.0) -> torch.Tensor:
    return torch.tensor([[first, 0.0], [second * math.cos(angle), second * math.sin(angle)]], dtype=torch.float64)


@pytest.mark.parametrize("angle", [0.3, 1.5, 2.0, 3.1])
@pytest.mark.parametrize("second", [1e-6, 0.7, 3.0])
def test_two_tasks_in_closed_form(angle: float, second: float) -> None:
    rows = pair(angle, second=second)
    units = rows / rows.norm(dim=1, keepdim=True)
    bisector = units.sum(0)
    torch.testing.assert_close(direction("nash_mtl", rows), bisector / math.sqrt(1 + math.cos(angle)))
    torch.testing.assert_close(direction("fairgrad", rows, alpha=1.0), direction("nash_mtl", rows))
    inverse = 1 / rows.norm(dim=1)
    torch.testing.assert_close(decided("imtl_g", rows), inverse / inverse.sum())
    half = (rows @ bisector).sum() / (bisector @ bisector)
    torch.testing.assert_close(direction("config", rows), half * bisector)
    torch.testing.assert_close(2 * decided("upgrad", rows), decided("pcgrad", rows))
    apart = rows[0] - rows[1]
    share = min(max(float(-(rows[1] @ apart) / (apart @ apart)), 0.0), 1.0)
    assert decided("mgda", rows)[0] == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize("tasks", SIZES)
@pytest.mark.parametrize("kind", SOUND)
def test_as_torchjd_where_that_is_exact(kind: str, tasks: int) -> None:
    rows = gradients(kind, tasks, tasks)
    gramian = rows @ rows.T
    for scale in ("min", "median", "rmse"):
        theirs = AlignedMTLWeighting(scale_mode=scale)(gramian)
        rtol = 1e-2 if kind == "ill-scaled" else 1e-7  # as many digits as the least eigenvalue has
        torch.testing.assert_close(decided("aligned_mtl", rows, scale=scale), theirs, rtol=rtol, atol=1e-6)
    projected = direction("config", rows) - ConFIG()(rows)
    assert projected.norm() < 1e-8 * longest(rows)
    if kind != "ill-scaled":  # torchjd's pseudoinverse cuts the short gradients off
        mine, theirs = decided("imtl_g", rows), IMTLGWeighting()(gramian)
        if (theirs.sum() > 0.5) and theirs.abs().sum() < 50:
            torch.testing.assert_close(mine * mine.sum().sign(), theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_pcgrad_of_two_is_torchjds(kind: str) -> None:
    rows = gradients(kind, 2, 5)
    torch.testing.assert_close(direction("pcgrad", rows), PCGradWeighting()(rows @ rows.T) @ rows)


@pytest.mark.parametrize("alpha", [0.5, 2.0, 5.0])
def test_fairgrad_is_torchjds(alpha: float) -> None:
    rows = gradients("conflicting", 5, 0) * 0.3
    theirs = FairGradWeighting(alpha)(rows @ rows.T)
    torch.testing.assert_close(decided("fairgrad", rows, alpha=alpha), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tasks", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_projections_on_the_dual_cone(kind: str, tasks: int) -> None:
    rows = gradients(kind, tasks, 1)
    units = torch.nn.functional.normalize(rows, dim=1)

    def projected(vector: torch.Tensor) -> torch.Tensor:
        extra, _ = nnls(units.T.numpy(), -vector.numpy(), maxiter=10000)
        return vector + torch.from_numpy(extra) @ units

    taught = rows[rows.norm(dim=1) > 0]
    expected = {
        "upgrad": torch.stack([projected(row) for row in taught]).mean(0),
        "dualproj": projected(taught.mean(0)),
    }
    for name, vector in expected.items():
        # Nearness of d to the projection itself is lost where the cone is almost flat.
        assert (direction(name, rows) - vector).norm() < (1e-6 if kind == "ill-conditioned" else 1e-8) * longest(rows)


@pytest.mark.parametrize("tasks", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_mgda_is_the_shortest_mean(kind: str, tasks: int) -> None:
    rows = gradients(kind, tasks, 2)
    weights = decided("mgda", rows)
    taught = rows.norm(dim=1) > 0
    weights, rows = weights[taught], rows[taught]
    shortest = weights @ rows
    assert (weights >= 0).all()
    assert float(weights.sum()) == pytest.approx(1, abs=1e-12)
    # No gradient's part along it is shorter: a step towards such a one would shorten it.
    lengths = rows.norm(dim=1)
    assert (rows @ shortest - shortest @ shortest >= -1e-9 * lengths * lengths.min()).all()


@pytest.mark.parametrize("tasks", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_nash_meets_its_equation(kind: str, tasks: int) -> None:
    rows = gradients(kind, tasks, 2)
    weights = decided("nash_mtl", rows)
    taught = rows.norm(dim=1) > 0
    weights, rows = weights[taught], rows[taught]
    ridge = RIDGE * (weights * rows.norm(dim=1)) ** 2  # what opposite gradients need to have a solution
    got = weights * (rows @ rows.T @ weights) + ridge
    torch.testing.assert_close(got, torch.ones_like(weights), rtol=1e-4, atol=1e-4)
    if kind in SOUND:
        assert float((weights @ rows).norm()) == pytest.approx(math.sqrt(len(rows)))
        shortened = direction("nash_mtl", rows, max_norm=1.0)
        assert float(shortened.norm()) == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 10.0])
def test_fairgrad_meets_its_equation(kind: str, alpha: float) -> None:
    rows = gradients(kind, 8, 4) * 1e-3
    weights = decided("fairgrad", rows, alpha=alpha)
    taught = rows.norm(dim=1) > 0
    weights, rows = weights[taught], rows[taught]
    got = (rows @ rows.T @ weights + RIDGE * rows.norm(dim=1) ** 2 * weights) * weights ** (1 / alpha)
    torch.testing.assert_close(got, torch.ones_like(weights), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("c", [0.4, 0.9, 1.5])
@pytest.mark.parametrize("tasks", [2, 3, 8, 40])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "zero"])
def test_cagrad_gains_as_much_as_a_cone_programme(kind: str, tasks: int, c: float) -> None:
    rows = gradients(kind, tasks, 6)
    mean = rows.mean(0)
    radius = c * float(mean.norm())
    found = direction("cagrad", rows, c=c)
    assert float((found - mean).norm()) <= radius * (1 + 1e-9)
    vector = cvxpy.Variable(rows.shape[1])
    least = cvxpy.Variable()
    within = [rows.numpy() @ vector >= least, cvxpy.norm(vector - mean.numpy()) <= radius]
    cvxpy.Problem(cvxpy.Maximize(least), within).solve(solver=cvxpy.CLARABEL)
    # From c = 1 on, d may be 0 or nearly so, and the ridge is felt.
    assert float((rows @ found).min()) >= float(least.value) - (1e-6 if c < 1 else 1e-4) * longest(rows) ** 2


def test_cagrad_is_rescaled_when_asked_to() -> None:
    rows = gradients("conflicting", 4, 0)
    torch.testing.assert_close(decided("cagrad", rows, c=0.5, rescale=True) * 1.25, decided("cagrad", rows, c=0.5))
    torch.testing.assert_close(decided("cagrad", rows, c=0.0), torch.full((4,), 0.25, dtype=torch.float64))


def test_small_gradients_count_as_much_as_large_ones() -> None:
    rows = gradients("conflicting", 6, 1)
    for name in ("cagrad", "mgda", "upgrad", "dualproj"):
        torch.testing.assert_close(decided(name, rows * 1e-30), decided(name, rows), rtol=1e-9, atol=1e-9)
