"""One forward and backward pass through normalisation layers, on one rank or on several."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from descant.loop.batch_norm import globalise
from descant.loop.ranks import Ranks

KINDS = ("plain", "no affine", "average", "after convolution")
FILLERS = 1


def layers(kind: str) -> nn.Sequential:
    """Layers of one kind with weights that are no ones and zeros."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3, affine=kind != "no affine", momentum=None if kind == "average" else 0.1)
    if norm.affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    first: list[nn.Module] = [nn.Conv2d(3, 3, 3, padding=1)] if kind == "after convolution" else []
    return nn.Sequential(*first, norm, nn.Tanh())


def samples() -> torch.Tensor:
    """Seven samples whose channels have means far from zero, (7, 3, 4, 5)."""
    generator = torch.Generator().manual_seed(1)
    shift = torch.tensor([0.0, 50.0, -3.0])[:, None, None]
    return torch.randn(7, 3, 4, 5, generator=generator) + shift


def one_pass(rank: int, world_size: int, kind: str) -> dict[str, Any]:
    """Return output, gradients and running statistics after two training passes and one in evaluation mode.

    On several ranks each has its rows and a filler that counts for nothing.
    """
    net = layers(kind)
    norms = globalise(net, Ranks(rank, world_size)) if world_size > 1 else []
    whole = samples()
    rows = -(-len(whole) // world_size)
    x = whole[rank * rows : (rank + 1) * rows].clone()
    valid = torch.ones(len(x), dtype=torch.bool)
    if world_size > 1:
        x = torch.cat([x, torch.full_like(x[:FILLERS], 1e3)])
        valid = torch.cat([valid, torch.zeros(FILLERS, dtype=torch.bool)])
    x.requires_grad_()
    for norm in norms:
        norm.valid_B = valid
    for _ in range(2):
        net.zero_grad()
        x.grad = None
        output = net(x)
        weight = torch.linspace(0.1, 1, output[0].numel()).reshape(output[0].shape)
        (output[valid] * weight).square().sum().backward()
    assert x.grad is not None
    state = {name: value.clone() for name, value in net.state_dict().items()}
    gradients = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    with torch.no_grad():
        evaluated = net.eval()(x)[valid]
    return {
        "output": output.detach()[valid],
        "x": x.grad[valid],
        "state": state,
        "parameters": gradients,
        "eval": evaluated,
    }


def every_kind(rank: int, world_size: int) -> dict[str, dict[str, Any]]:
    """Return ``one_pass`` of each kind."""
    return {kind: one_pass(rank, world_size, kind) for kind in KINDS}
