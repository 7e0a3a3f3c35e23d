"""The two-objective toy of Nash-MTL and CAGrad: which methods come to its Pareto front, and from where.

The papers make 35,000 steps of Adam at 1e-3; here all runs advance together, by at most 2,000 at 1e-2, which is enough
for Nash-MTL to come to the front, and for others to pass the valley from the far corner or to stay in it.

Shapes: R runs, two objectives of two numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from signals import made, signals

CORNER = (9.0, 9.0)
STARTS = ((-8.5, 7.5), (0.0, 0.0), CORNER, (-7.5, -0.5), (9.0, -1.0))


class Run(NamedTuple):
    """A method from a start, its first objective scaled."""

    name: str
    start: tuple[float, float]
    scale: float = 0.1


def objectives(points_R2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both objectives, (R,) each, before scaling."""
    first_R, second_R = points_R2.unbind(1)
    upper_R, lower_R = (0.5 * second_R).tanh().clamp(min=0), (-0.5 * second_R).tanh().clamp(min=0)

    def objective(valley_R: torch.Tensor, centre: float) -> torch.Tensor:
        bowl_R = ((-first_R + centre) ** 2 + 0.1 * (-second_R - 8) ** 2) / 10 - 20
        return (valley_R.abs().clamp(min=5e-6).log() + 6) * upper_R + bowl_R * lower_R

    one_R = objective(0.5 * (-first_R - 7) - (-second_R).tanh(), 7.0)
    return one_R, objective(0.5 * (-first_R + 3) + (-second_R).tanh() + 2, -7.0)


def ends(runs: Sequence[Run], steps: int) -> dict[Run, tuple[float, float]]:
    """Return where each run ends."""
    named = [made(run.name, 2) for run in runs]
    points_R2 = torch.tensor([run.start for run in runs], dtype=torch.float64, requires_grad=True)
    scales_R = torch.tensor([run.scale for run in runs], dtype=torch.float64)
    optimizer = torch.optim.Adam([points_R2], lr=1e-2)
    for step in range(steps):
        copies = [points_R2.detach().requires_grad_() for _ in range(2)]
        total = (objectives(copies[0])[0] * scales_R + objectives(copies[1])[1]).sum()
        gradients_R22 = torch.stack(torch.autograd.grad(total, copies), 1)
        asked = zip(named, gradients_R22 @ gradients_R22.mT, strict=True)
        weights_R2 = torch.stack([balancer.weights(signals([1.0, 1.0], each, step=step)) for balancer, each in asked])
        points_R2.grad = (weights_R2[:, :, None] * gradients_R22).sum(1)
        optimizer.step()
    return {run: (point[0], point[1]) for run, point in zip(runs, points_R2.tolist(), strict=True)}


def test_nash_reaches_the_front_from_all_starts() -> None:
    for first, second in ends([Run("nash_mtl", start) for start in STARTS], 1500).values():
        assert abs(first) < 7.05
        assert abs(second + 8.4) < 0.1


def test_some_pass_the_valley_from_the_far_corner_and_some_do_not() -> None:
    runs = [Run(name, CORNER) for name in ("mgda", "imtl_g", "aligned_mtl", "pcgrad", "upgrad", "cagrad", "dualproj")]
    found = {run.name: second for run, (_, second) in ends(runs, 2000).items()}
    assert max(found[name] for name in ("mgda", "imtl_g", "aligned_mtl")) < -5
    assert min(found[name] for name in ("pcgrad", "upgrad", "cagrad", "dualproj")) > -2


def test_nash_takes_the_same_way_whatever_the_scale_of_an_objective() -> None:
    runs = [Run("nash_mtl", start, scale) for scale in (0.1, 1e4) for start in ((0.0, 0.0), CORNER)]
    found = torch.tensor(list(ends(runs, 500).values()))
    torch.testing.assert_close(found[:2], found[2:], rtol=0, atol=1e-4)
