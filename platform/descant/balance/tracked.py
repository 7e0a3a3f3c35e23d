"""Gradients that methods carry from step to step: one of each task, for each shared parameter.

Shapes: K tasks of the recipe, P of them taught by the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Float, Int

from descant.lazy import torch


class Tracked:
    """What is carried, 0 at first. A step makes it anew for the tasks that it teaches and leaves the others' as it is.

    Args:
        tasks: K.
    """

    def __init__(self, tasks: int) -> None:
        self._tasks = tasks
        self._values: dict[str, Float[torch.Tensor, "K ..."]] = {}

    def update(
        self,
        places_P: Int[torch.Tensor, P],
        gradients: Mapping[str, Float[torch.Tensor, "P ..."]],
        change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> dict[str, Float[torch.Tensor, "P ..."]]:
        """Return what is carried of these tasks from now on: ``change`` of what was and of the step's gradients."""
        made, values = {}, dict(self._values)
        for name, gradient in gradients.items():
            places = places_P.to(gradient.device)
            before = values.get(name)
            if before is None:
                before = gradient.new_zeros(self._tasks, *gradient.shape[1:])
            before = before.to(gradient)
            made[name] = change(before[places], gradient)
            values[name] = before.index_copy(0, places, made[name])
        self._values = values
        return made

    def state_dict(self) -> dict[str, Any]:
        """Return what is carried, (K, …) by name; it is never changed in place."""
        return dict(self._values)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._values = dict(state)


def inner_products(gradients: Mapping[str, Float[torch.Tensor, "P ..."]]) -> Float[torch.Tensor, "P P"]:
    """Return the Gramian of tasks' gradients, float64 on the CPU."""
    flat = [each.flatten(1) for each in gradients.values()]
    return torch.stack([(each @ each.T).double().cpu() for each in flat]).sum(0)


def combined(
    weights_P: Float[torch.Tensor, P], gradients: Mapping[str, Float[torch.Tensor, "P ..."]]
) -> dict[str, Float[torch.Tensor, ...]]:
    """Return Σ w_i g_i by name."""
    return {name: torch.tensordot(weights_P.to(each), each, 1) for name, each in gradients.items()}
