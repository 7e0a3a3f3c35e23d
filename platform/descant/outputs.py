"""What a model gives for each task.

Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from descant.cut import Cut
from descant.precision import widened


class Outputs:
    """Each task's output, batch first. No ``Mapping``: what wraps models would make one anew, without the rest.

    Args:
        alone: of the tasks whose heads stand alone.
        stacked: of fused heads, (B, tasks, …), by their tasks; one task's output is a view of it, made when asked for.
        cut: where the graph ends, and may go on; None where it goes through.
    """

    def __init__(
        self,
        alone: Mapping[str, Tensor],
        stacked: Mapping[tuple[str, ...], Tensor] | None = None,
        cut: Cut | None = None,
    ) -> None:
        self.alone, self.stacked, self.cut = dict(alone), dict(stacked or {}), cut

    def __getitem__(self, task: str) -> Tensor:
        """Return a task's output."""
        if task in self.alone:
            return self.alone[task]
        for tasks, outputs in self.stacked.items():
            if task in tasks:
                return outputs[:, tasks.index(task)]
        raise KeyError(task)

    def __iter__(self) -> Iterator[str]:
        """Yield the tasks."""
        yield from self.alone
        for tasks in self.stacked:
            yield from tasks

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each task and its output."""
        yield from ((task, self[task]) for task in self)

    def widened(self) -> Outputs:
        """Return outputs of half precision, as heads give them under autocast, in that of the losses."""
        alone = {task: widened(output) for task, output in self.alone.items()}
        return Outputs(alone, {tasks: widened(outputs) for tasks, outputs in self.stacked.items()}, self.cut)
