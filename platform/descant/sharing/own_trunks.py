"""What the schemes with a trunk for each task have in common."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from descant.errors import UserError
from descant.sharing.base import MakeTrunk, Shapes
from descant.trunks.base import Trunk


def own_trunks(scheme: str, make_trunk: MakeTrunk, tasks: Iterable[str]) -> nn.ModuleDict:
    """Return a trunk for each task, all of one shape.

    Raises:
        UserError: ``make_trunk`` gives trunks of different shapes.
    """
    trunks = nn.ModuleDict({task: make_trunk() for task in tasks})
    main, *others = trunks
    shapes = {task: {name: tuple(p.shape) for name, p in trunk.named_parameters()} for task, trunk in trunks.items()}
    for task in others:
        if shapes[task] != shapes[main]:
            unlike = sorted({name for name, _ in shapes[main].items() ^ shapes[task].items()})
            raise UserError(
                f"the sharing {scheme!r} ties trunks of one shape, but those of {main!r} and {task!r} differ in "
                f"{', '.join(unlike[:3])}: take a trunk that is made alike at each call"
            )
    return trunks


def within(name: str, modules: Iterable[str]) -> bool:
    """Tell whether ``name`` is one of ``modules``, or something inside one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def reached(trunk: Trunk, inputs: Shapes) -> dict[str, list[str]]:
    """Return the names of the parameters that train each feature of ``trunk``, by one pass in evaluation mode."""
    trained = [(name, parameter) for name, parameter in trunk.named_parameters() if parameter.requires_grad]
    was_training = trunk.training
    with torch.enable_grad():
        features = trunk.eval()({name: torch.zeros(1, *shape) for name, shape in inputs.items()})
    trunk.train(was_training)
    names: dict[str, list[str]] = {feature: [] for feature in features}
    for feature, value in features.items():
        if value.requires_grad:
            parameters = [parameter for _, parameter in trained]
            gradients = torch.autograd.grad(value.sum(), parameters, retain_graph=True, allow_unused=True)
            names[feature] = [name for (name, _), given in zip(trained, gradients, strict=True) if given is not None]
    return names
