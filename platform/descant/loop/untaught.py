"""Leaves where it is what serves tasks alone that a step does not teach: the optimizer's momentum would move it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from descant.heads.fused import FusedHeads
from descant.model import MultiTaskModel


class Untaught:
    """What tasks have for themselves alone.

    Args:
        model: the network.
        reach: by task, the names of the parameters that its gradient reaches.
    """

    def __init__(self, model: MultiTaskModel, reach: Mapping[str, set[str]]) -> None:
        self._model = model
        self._served: dict[tuple[frozenset[str], bool], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                tasks = frozenset(task for task, reached in reach.items() if name in reached)
                self._served.setdefault((tasks, name.startswith("sharing.")), []).append(parameter)

    def forget(self, taught: Collection[str], is_coupled: bool) -> None:
        """Take the zero gradients from what serves none of the tasks that are ``taught``.

        What soft sharing pulls at, if the step ``is_coupled``, has a gradient still.
        """
        for (tasks, is_shared), parameters in self._served.items():
            if tasks.isdisjoint(taught) and not (is_shared and is_coupled):
                for parameter in parameters:
                    parameter.grad = None

    @contextmanager
    def leaving_alone(
        self, optimizer: torch.optim.Optimizer, tasks: Collection[str], stopped_rows: Mapping[str, Sequence[int]]
    ) -> Iterator[None]:
        """Keep the optimizer from moving fused heads of these tasks, and rows of heads that have stopped.

        Args:
            optimizer: which steps within the block.
            tasks: that are not taught.
            stopped_rows: by task, the rows of its head that are parts which have stopped.
        """
        left = list(self._rows_of(tasks, stopped_rows))
        kept = [{name: value[rows].clone() for name, value in _moving(optimizer, one).items()} for one, rows in left]
        yield
        for (parameter, rows), before in zip(left, kept, strict=True):
            for name, value in _moving(optimizer, parameter).items():
                value[rows] = before.get(name, 0.0)  # the optimizer may only now have begun to keep something

    def _rows_of(
        self, tasks: Collection[str], stopped_rows: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[Tensor, Sequence[int]]]:
        for fused in self._model.fused:
            assert isinstance(fused, FusedHeads)
            rows = [row for row, name in enumerate(fused.tasks) if name in tasks]
            if rows:
                yield from ((fused.weight_KOF, rows), (fused.bias_KO, rows))
        for task, stopped in stopped_rows.items():
            yield from ((parameter, stopped) for parameter in self._model.head_rows(task).values())


def _moving(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """Return a parameter and what the optimizer keeps of it, number by number."""
    state = optimizer.state.get(parameter, {})
    same = {
        name: value for name, value in state.items() if isinstance(value, Tensor) and value.shape == parameter.shape
    }
    return {"the parameter": parameter.detach(), **same}
