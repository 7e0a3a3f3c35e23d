"""The trunk contract: a network from inputs to named features, which heads attach to.

Shapes: B samples.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from descant.errors import UserError, nearest
from descant.plugins import plugin_hint
from descant.registry import Registry

Shapes = Mapping[str, tuple[int, ...]]


class Trunk(nn.Module):
    """The shared network.

    A subclass's constructor takes ``inputs`` (the shape of each input by name, without the batch) and the recipe's
    options; ``forward`` maps a batch of inputs to features by name: ``pooled`` (B, F), ``sequence`` (B, T, F),
    ``map`` (B, C, H, W), or names of its own. What any of its modules gives can be a feature too, see ``tap``.
    """

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return every feature, batch first."""
        raise NotImplementedError

    def tap(self, features: Mapping[str, str], inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Have calls of the trunk give the feature of each task, and return each task's shape, without the batch.

        A feature that is none of ``forward``'s is the output of the inner module of that dotted name, batch first as
        the module gives it; of several outputs the first, of several calls the last.

        Raises:
            UserError: there is neither such a feature nor such a module, or the trunk does not take the inputs.
        """
        own = self.feature_shapes(inputs)
        modules = {name: module for name, module in self.named_modules() if name}
        for task, feature in features.items():
            if feature not in own and feature not in modules:
                raise UserError(
                    f"the task {task!r} reads the feature {feature!r}, which the trunk lacks; it has {', '.join(own)}, "
                    f"and the outputs of its modules by name: {nearest(feature, modules)}"
                )
        inner = {feature for feature in features.values() if feature not in own}
        kept = _Kept()
        for feature in inner:
            modules[feature].register_forward_hook(functools.partial(kept.keep, feature))
        if inner:
            self.register_forward_hook(kept.add)
        known = self.feature_shapes(inputs) if inner else own
        kept.is_watching = False
        for feature in inner - set(known):
            raise UserError(
                f"the trunk does not call its module {feature!r} by itself: name one inside it, or around it"
            )
        return {task: known[feature] for task, feature in features.items()}

    @torch.no_grad()
    def feature_shapes(self, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Return the shape of every feature, without the batch, by one pass of zeros in evaluation mode."""
        was_training = self.training
        self.eval()
        zeros = {name: torch.zeros(1, *shape) for name, shape in inputs.items()}
        try:
            features = self(zeros)
        except (AssertionError, RuntimeError, ValueError) as error:
            given = ", ".join(f"{name} {shape}" for name, shape in inputs.items())
            raise UserError(f"the trunk cannot take the inputs {given}: {' '.join(str(error).split())}") from error
        self.train(was_training)
        return {name: tuple(feature.shape[1:]) for name, feature in features.items()}


class _Kept:
    """What inner modules give, until the trunk's pass is over.

    Attributes:
        is_watching: whether passes still find out which of it later modules write into, as ReLUs in place do; that is
            copied before they do.
    """

    def __init__(self) -> None:
        self.is_watching = True
        self._features: dict[str, Tensor] = {}
        self._versions: dict[str, int] = {}
        self._overwritten: set[str] = set()

    def keep(self, feature: str, module: nn.Module, given: object, output: object) -> None:
        """Keep the output of a module; the hook of its forward pass."""
        while isinstance(output, (tuple, list)) and output:
            output = output[0]
        if not isinstance(output, Tensor) or output.ndim < 2:
            raise UserError(
                f"the module {feature!r} of the trunk gives {type(output).__name__}, which no head can read: "
                f"name one that gives a tensor for each sample"
            )
        self._features[feature] = output.clone() if feature in self._overwritten else output
        if self.is_watching:
            self._versions[feature] = output._version

    def add(self, trunk: nn.Module, given: object, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what was kept beside the trunk's own features; the hook of its forward pass."""
        kept, self._features = self._features, {}
        if self.is_watching:
            self._overwritten |= {name for name, value in kept.items() if value._version != self._versions[name]}
        return {**features, **kept}


trunks: Registry[Trunk] = Registry("trunk", "trunks")


def register_trunk(name: str) -> Callable[[type[Trunk]], type[Trunk]]:
    """Register a trunk class under a name that recipes use (``trunk=NAME``)."""
    return trunks.register(name)


def build_trunk(name: str, options: Mapping[str, Any], inputs: Shapes) -> Trunk:
    """Return a trunk by its registered name, or any timm model by its name.

    Raises:
        UserError: neither knows the name, or the trunk refuses an option or the inputs.
    """
    if name in trunks.names():
        return trunks.build(name, options, inputs=inputs)
    import timm

    if timm.is_model(name):
        return trunks.build("timm", {"model": name, **options}, inputs=inputs)
    known = nearest(name, [*trunks.names(), *timm.list_models()])
    raise UserError(f"there is no trunk {name!r}: {known}{plugin_hint()}")


def only_input(trunk: str, inputs: Shapes, dimensions: tuple[int, ...] = ()) -> tuple[str, tuple[int, ...]]:
    """Return the (name, shape) of the one input of a trunk that takes one, of as many dimensions as allowed."""
    if len(inputs) != 1:
        raise UserError(f"the trunk {trunk!r} takes one input, but the recipe has {sorted(inputs)}")
    name, shape = next(iter(inputs.items()))
    if dimensions and len(shape) not in dimensions:
        raise UserError(
            f"the trunk {trunk!r} takes inputs of {' or '.join(map(str, dimensions))} dimensions, "
            f"but {name!r} has the shape {shape}"
        )
    return name, shape
