"""A few balanced steps over one global batch, on one rank or on several, in double precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from descant.balance import GramianBalancer, LossBalancer, balancers
from descant.heads import LinearHead, mlp
from descant.loop.balancing import Balancing
from descant.loop.ranks import Ranks
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


def run(rank: int, world_size: int, method: str, options: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights (steps, K) and the summed gradient of what is shared (steps, N) of one balancer."""
    net, ranks = model(), Ranks(rank, world_size)
    settings = BalanceSettings.parse({"name": method, **options})
    balancer = balancers.build(method, settings.method.options, tasks=list(TASKS))
    assert isinstance(balancer, (LossBalancer, GramianBalancer))
    balancing = Balancing(balancer, settings, 0, 0, ranks)
    own = slice(rank * ROWS // world_size, (rank + 1) * ROWS // world_size)
    weights, gradients = [], []
    for step in range(STEPS):
        x, target, present = (value[own] for value in batch(step))
        counts_K = batch(step)[2].sum(0)
        taught = counts_K.nonzero()[:, 0].tolist()
        balancing.begin_epoch(step // 2, STEPS // 2)
        outputs = net({"x": x}, cut=balancing.reads_gradients)
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
            gramian_KK = outputs.cut.gramian(TASKS) if balancing.decides(step, taught) else None
            weights_K = balancing.weights(means_K.detach(), taught, step, gramian_KK)
            outputs.cut.backward(dict(zip(TASKS, weights_K.tolist(), strict=True)))
        if balancing.reads_after(step):
            balancing.after_step(torch.tensor([0.9, 0.7, 0.95, 0.8]) ** (step + 1) * means_K.detach())
        balancing.after_evaluation(step, {}, {})
        flat = torch.cat([p.grad.flatten() for p in net.sharing.parameters() if p.grad is not None])
        weights.append(weights_K)
        gradients.append(ranks.sum(flat))
        net.zero_grad()
    return {"weights": torch.stack(weights), "gradients": torch.stack(gradients)}


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "seldom, smoothed": {"every": 2, "momentum": 0.5},
    "in proportion": {"normalise": "mean"},
}


def run_all(rank: int, world_size: int) -> dict[tuple[str, str], dict[str, torch.Tensor]]:
    """Return what each balancer does in each way of asking it."""
    torch.set_default_dtype(torch.float64)
    try:
        return {
            (method, way): run(rank, world_size, method, options) for method in METHODS for way, options in WAYS.items()
        }
    finally:
        torch.set_default_dtype(torch.float32)
