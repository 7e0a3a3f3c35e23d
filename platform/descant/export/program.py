"""The program that is exported: from what a user has at hand to the answers of some tasks.

Shapes: B samples, V views of each.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from descant.errors import RunError, UserError
from descant.export.pruning import changes_in_place, prune
from descant.export.recurrent import shapes_at_once
from descant.inputs import Front
from descant.tasks import Task

_TRACED, _CHECKED = 2, (1, 3)  # sizes of batches; sizes of 1 would be taken for a promise
_SPARE = 7  # by how much a named axis is longer than it has to be, when the program is traced


class Program(nn.Module):
    """The path of some tasks, with what comes before the trunk and after the heads.

    Args:
        model: the trained network, a ``MultiTaskModel`` or one that is called as such; it stays as it is.
        tasks: whose answers it gives, by name.
        fronts: what it takes, by input.
    """

    def __init__(self, model: nn.Module, tasks: Mapping[str, Task], fronts: Mapping[str, Front]) -> None:
        super().__init__()
        # A copy: tracing leaves its marks on recurrent layers.
        self.model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
        self.fronts = dict(fronts)
        self.modules_of_fronts = nn.ModuleList(f.apply for f in fronts.values() if isinstance(f.apply, nn.Module))
        self.tasks = dict(tasks)

    def forward(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what ``Task.predict`` gives, the mean over the views, by task and batch first."""
        ready = {name: front.apply(given[name]) if front.apply else given[name] for name, front in self.fronts.items()}
        outputs = self.model(ready, list(self.tasks))
        return {name: self._answer(name, outputs[name], given) for name in self.tasks}

    def _answer(self, task: str, output: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        prediction = self.tasks[task].predict(output).float()
        views = max(front.views for front in self.fronts.values())
        return prediction if views == 1 else prediction.reshape(-1, views, *prediction.shape[1:]).mean(1)


def trace(program: Program) -> ExportedProgram:
    """Return the program, for batches of any size, with the tensors that its answers hang on and no others.

    Raises:
        UserError: something in it decides by the values that it is given, so that it cannot be traced.
        RunError: what was traced gives other numbers.
    """
    example = examples(program.fronts, _TRACED)
    shapes = (_free_axes(program.fronts),)
    with tracing():
        try:
            with torch.no_grad():
                whole = torch.export.export(program, (example,), dynamic_shapes=shapes, strict=False)
            if any(changes_in_place(node) for node in whole.graph.nodes):  # which hide what nobody reads
                whole = whole.run_decompositions({})
            graph = whole.module(check_guards=False)
            assert isinstance(graph, torch.fx.GraphModule)
            prune(graph)
            traced = torch.export.export(_WithoutGradients(graph), (example,), dynamic_shapes=shapes, strict=False)
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UserError(
                f"the network of these tasks cannot be traced by torch.export: {reason}; in modules of your own "
                f"take sizes by x.shape[0] instead of len(x), and decide nothing by the values of tensors"
            ) from error
    _check(program, traced)
    return traced


class _WithoutGradients(nn.Module):
    """A program in torch's mode without gradients, also where its user is in the other one, which rounds otherwise."""

    def __init__(self, path: nn.Module) -> None:
        super().__init__()
        self.path = path

    def forward(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the program's answers."""
        with torch.no_grad():
            answers: dict[str, Tensor] = self.path(given)
        return answers


def examples(fronts: Mapping[str, Front], batch: int) -> dict[str, Tensor]:
    """Return made-up inputs of a program."""
    generator = torch.Generator().manual_seed(0)
    made = {}
    for name, front in fronts.items():
        shape = (batch, *(size if isinstance(size, int) else front.least[size] + _SPARE for size in front.shape))
        noise = torch.randn(shape, generator=generator)
        made[name] = (noise * 32 + 128).clamp(0, 255).byte() if front.dtype == "uint8" else noise
    return made


def _free_axes(fronts: Mapping[str, Front]) -> dict[str, dict[int, Any]]:
    batch = Dim("batch", min=1)
    axes: dict[str, dict[int, Any]] = {}
    for name, front in fronts.items():
        named = [(at, size) for at, size in enumerate(front.shape, 1) if isinstance(size, str)]
        axes[name] = {0: batch, **{at: Dim(f"{name}_{size}", min=front.least[size]) for at, size in named}}
    return axes


def _check(program: Program, traced: ExportedProgram) -> None:
    again = traced.module()
    for batch in _CHECKED:
        given = examples(program.fronts, batch)
        with torch.no_grad():
            right = program(given)
        found = again(given)
        for task, answer in right.items():
            if not torch.equal(found[task], answer):
                raise RunError(
                    f"the traced network gives other numbers for the task {task!r} in a batch of {batch}, so nothing "
                    f"was written: something in it decides by the values that it is given"
                )


@contextmanager
def tracing() -> Iterator[None]:
    """Trace fast, and keep what torch and its tracer say of their own code to themselves."""
    with shapes_at_once(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
