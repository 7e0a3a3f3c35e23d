"""Whether a network is a chain of its top-level modules, and where its resolution changes.

Shapes: B samples, C channels, H height, W width, N tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

SHAKEN = 0.1  # the spread given to what starts at zero


@torch.no_grad()
def find_stages(model: nn.Module, whole: Callable[[Any], Tensor], image: Tensor, axis: int) -> list[list[str]]:
    """Return the names of the modules of each stage: those that one after another work at one resolution.

    The children of ``model`` run in their order until what they give equals what the network gives; a sequence of
    modules within which the resolution changes is taken apart. Measured on a copy in evaluation mode, whose
    parameters at or near zero are given other values: a block that starts as the identity would hide what follows it.

    Args:
        model: the network.
        whole: gives the network's own features of ``image`` from such a copy.
        image: one sample, random.
        axis: that of the channels.

    Returns:
        nothing where the network is no such chain.
    """
    probe = _shaken(model).eval()
    target, value = whole(probe), image
    found: list[tuple[str, torch.Size]] = []
    for name, child in probe.named_children():
        try:
            parts, value = _parts(name, child, value, axis)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):  # not made for what came before it
            return []
        found += parts
        if value.shape == target.shape and torch.allclose(value, target, rtol=1e-4, atol=1e-5 * float(target.std())):
            return _grouped(found)
    return []


def _shaken(model: nn.Module) -> nn.Module:
    probe = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    for parameter in probe.parameters():
        if float(parameter.abs().max()) < 1e-3:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * SHAKEN)
    return probe


def _parts(name: str, module: nn.Module, value: Tensor, axis: int) -> tuple[list[tuple[str, torch.Size]], Tensor]:
    """Run a module; return its name, or those of its parts, each with the resolution that it gives, and its output."""
    if type(module).forward is not nn.Sequential.forward:
        value = module(value)
        return [] if isinstance(module, nn.Identity) else [(name, _resolution(value, axis))], value
    inner: list[tuple[str, torch.Size]] = []
    for key, child in module.named_children():
        parts, value = _parts(f"{name}.{key}", child, value, axis)
        inner += parts
    if len({resolution for _, resolution in inner}) > 1:
        return inner, value
    return [(name, resolution) for _, resolution in inner[-1:]], value


def _resolution(value: Tensor, axis: int) -> torch.Size:
    return value.shape[2:] if axis == 1 else value.shape[1:-1]


def _grouped(parts: list[tuple[str, torch.Size]]) -> list[list[str]]:
    stages: list[list[str]] = []
    before: torch.Size | None = None
    for name, resolution in parts:
        if resolution != before:
            stages.append([])
        stages[-1].append(name)
        before = resolution
    return stages
