"""A few balanced steps over one global batch, on one rank or on several, in double precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from descant.balance import GradientBalancer, balancers
from descant.cut import Cut
from descant.heads import LinearHead, mlp
from descant.loop.balancing import Balancing
from descant.loop.ranks import Ranks
from descant.loop.shared_gradients import SharedGradients, shared_parameters
from descant.model import MultiTaskModel
from descant.recipe import BalanceSettings
from descant.schedules import Constant
from descant.sharing import sharings
from descant.trunks import build_trunk

TASKS = ("main", "half", "seldom", "alone")
ROWS, STEPS, WIDTH = 12, 4, 5
METHODS = tuple(name for name, cls in balancers.items() if cls.__module__.startswith("descant.") and name != "static")


def model() -> MultiTaskModel:
    """Three fused heads and one of two layers on a small trunk."""
    torch.manual_seed(0)
    sharing = sharings.build(
        "hard",
        {},
        make_trunk=lambda: build_trunk("mlp", {"hidden": [6, WIDTH]}, {"x": (4,)}),
        features=dict.fromkeys(TASKS, "pooled"),
        inputs={"x": (4,)},
    )
    heads: dict[str, nn.Module] = {
        name: mlp((WIDTH,), 2, [3]) if name == "alone" else LinearHead((WIDTH,), (2,)) for name in TASKS
    }
    gates = dict.fromkeys(TASKS, Constant(1.0)) | {"half": Constant(0.5)}
    return MultiTaskModel(sharing, heads, gates, [TASKS[:3]]).double()


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs (B, 4), targets (B, K, 2), and which rows teach each task, (B, K): none ``seldom`` at each other step."""
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(ROWS, 4, dtype=torch.float64, generator=generator)
    target = torch.randn(ROWS, len(TASKS), 2, dtype=torch.float64, generator=generator)
    present = torch.ones(ROWS, len(TASKS), dtype=torch.bool)
    present[: ROWS // 2, 1] = False
    present[2:, 2] = False
    if step % 2:
        present[:, 2] = False
    return x, target, present


def _go_on(
    net: MultiTaskModel,
    balancing: Balancing,
    cut: Cut,
    means_K: torch.Tensor,
    taught: list[int],
    step: int,
    ranks: Ranks,
) -> tuple[torch.Tensor, Mapping[str, torch.Tensor] | None]:
    """Go on below the cut as the balancer decides; return the weights, and the direction, if it makes one."""
    way, told = balancing.way, (means_K, taught, step)
    shared = SharedGradients(
        shared_parameters(net.sharing, balancing.settings.layers), TASKS, ranks, keep=way.makes_directions
    )
    if way.level == "parameter" and balancing.decides(step, taught):
        shared.add(cut)
    direction = None
    if way.makes_directions:
        direction = balancing.direction(*told, shared)
    elif way.makes_masks:
        cut.backward({}, masks=balancing.masks(*told, cut.unit_sums(TASKS)))
    else:
        gramian_KK = shared.gramian() if way.level == "parameter" else cut.gramian(TASKS)
        weights_K = balancing.weights(*told, gramian_KK if balancing.decides(step, taught) else None)
        cut.backward(dict(zip(TASKS, weights_K.tolist(), strict=True)))
        return weights_K, None
    return torch.tensor([balancing.latest_weights.get(name, 0.0) for name in TASKS]), direction


def run(rank: int, world_size: int, method: str, options: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights (steps, K) and the summed gradient of what is shared (steps, N) of one balancer."""
    net, ranks = model(), Ranks(rank, world_size)
    settings = BalanceSettings.parse({"name": method, **options})
    balancer = balancers.build(method, settings.method.options, tasks=list(TASKS))
    balancing = Balancing(balancer, settings, 0, 0, ranks)
    own = slice(rank * ROWS // world_size, (rank + 1) * ROWS // world_size)
    weights, gradients = [], []
    for step in range(STEPS):
        x, target, present = (value[own] for value in batch(step))
        counts_K = batch(step)[2].sum(0)
        taught = counts_K.nonzero()[:, 0].tolist()
        balancing.begin_epoch(step // 2, STEPS // 2)
        way, direction = balancing.way, None
        outputs = net({"x": x}, cut=way.reads_gradients, fuse=not way.makes_masks)
        losses_BK = torch.stack(
            [(outputs[name] - target[:, place]).square().sum(1) for place, name in enumerate(TASKS)], 1
        )
        means_K = torch.where(present, losses_BK, 0.0).sum(0) / counts_K.clamp(min=1)
        scales_K = balancing.scales(means_K.detach(), taught)
        scaled_K = means_K if scales_K is None else means_K * scales_K
        if outputs.cut is None:
            weights_K = balancing.weights(means_K.detach(), taught, step)
            torch.autograd.backward((weights_K * scaled_K).sum())
        else:
            outputs.cut.expect_gradients()
            torch.autograd.backward(scaled_K.sum())
            weights_K, direction = _go_on(net, balancing, outputs.cut, means_K.detach(), taught, step, ranks)
        if balancing.reads_after(step):
            balancing.after_step(torch.tensor([0.9, 0.7, 0.95, 0.8]) ** (step + 1) * means_K.detach())
        balancing.after_evaluation(step, {}, {})
        if direction is None:
            summed = ranks.sum(torch.cat([p.grad.flatten() for p in net.sharing.parameters() if p.grad is not None]))
        else:
            summed = torch.cat([direction[name].flatten() for name, _ in net.sharing.named_parameters()])
        weights.append(weights_K)
        gradients.append(summed)
        net.zero_grad()
    return {"weights": torch.stack(weights), "gradients": torch.stack(gradients)}


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "seldom, smoothed": {"every": 2, "momentum": 0.5},
    "in proportion": {"normalise": "mean"},
    "of parameters": {"level": "parameter"},
    "of parameters, in proportion": {"level": "parameter", "normalise": "mean"},
    "of a layer": {"level": "parameter", "layers": ["0"]},
}


def cases() -> Iterator[tuple[str, str]]:
    """Yield each method and the ways in which it may be asked."""
    for method in METHODS:
        cls = balancers.get(method)
        for way, options in WAYS.items():
            level = options.get("level", cls.levels[0] if cls.levels else None)
            is_whole = not issubclass(cls, GradientBalancer) or options.keys() <= {"level", "normalise"}
            if (level is None or level in cls.levels) and is_whole:
                yield method, way


def run_all(rank: int, world_size: int) -> dict[tuple[str, str], dict[str, torch.Tensor]]:
    """Return what each balancer does in each way of asking it."""
    torch.set_default_dtype(torch.float64)
    try:
        return {(method, way): run(rank, world_size, method, WAYS[way]) for method, way in cases()}
    finally:
        torch.set_default_dtype(torch.float32)
