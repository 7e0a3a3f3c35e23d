"""The two-objective toy of Nash-MTL and CAGrad: which methods come to its Pareto front, and from where.

Shapes: S starts, two objectives of two numbers.
"""

from __future__ import annotations

import pytest
import torch

from signals import made, signals

STARTS = ((-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0))


def objectives(points_S2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both objectives, (S,) each; the first is a tenth of the size that the second has."""
    first_S, second_S = points_S2.unbind(1)
    upper_S, lower_S = (0.5 * second_S).tanh().clamp(min=0), (-0.5 * second_S).tanh().clamp(min=0)

    def objective(valley_S: torch.Tensor, centre: float) -> torch.Tensor:
        bowl_S = ((-first_S + centre) ** 2 + 0.1 * (-second_S - 8) ** 2) / 10 - 20
        return (valley_S.abs().clamp(min=5e-6).log() + 6) * upper_S + bowl_S * lower_S

    one_S = objective(0.5 * (-first_S - 7) - (-second_S).tanh(), 7.0)
    return 0.1 * one_S, objective(0.5 * (-first_S + 3) + (-second_S).tanh() + 2, -7.0)


def ends(
    name: str, starts: tuple[tuple[float, float], ...] = STARTS, steps: int = 2000, scale: float = 1.0
) -> list[tuple[float, float]]:
    """Return where Adam ends from each start, with steps twenty times as long as the papers', and as many fewer."""
    named = [made(name, 2) for _ in starts]
    points_S2 = torch.tensor(starts, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([points_S2], lr=0.02)
    for step in range(steps):
        copies = [points_S2.detach().requires_grad_() for _ in range(2)]
        one_S, two_S = objectives(copies[0])[0] * scale, objectives(copies[1])[1]
        gradients_S22 = torch.stack(torch.autograd.grad((one_S + two_S).sum(), copies), 1)
        gramians_S22 = gradients_S22 @ gradients_S22.mT
        weights_S2 = torch.stack([b.weights(signals([1.0, 1.0], g, step=step)) for b, g in zip(named, gramians_S22)])
        points_S2.grad = (weights_S2[:, :, None] * gradients_S22).sum(1)
        optimizer.step()
    return [(point[0], point[1]) for point in points_S2.tolist()]


def on_the_front(point: tuple[float, float]) -> bool:
    """Return whether a point is nearly as good as one of the front, which is x_1 from -7 to 7, x_2 about -8.4."""
    return abs(point[0]) < 7.05 and abs(point[1] + 8.4) < 0.2


@pytest.mark.parametrize("name", ["nash_mtl", "fairgrad", "mgda", "imtl_g", "aligned_mtl"])
def test_reaches_the_front_from_all_starts(name: str) -> None:
    found = ends(name)
    assert all(map(on_the_front, found)), found


@pytest.mark.parametrize("name", ["pcgrad", "upgrad", "cagrad"])
def test_misses_the_front_from_the_far_corner(name: str) -> None:
    found = ends(name, starts=((9.0, 9.0),))
    assert not on_the_front(found[0]), found


def test_nash_ends_alike_whatever_the_scale_of_an_objective() -> None:
    one, other = ends("nash_mtl", steps=500), ends("nash_mtl", steps=500, scale=1000.0)
    assert torch.tensor(one) == pytest.approx(torch.tensor(other), abs=1e-3)
