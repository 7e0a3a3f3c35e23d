"""One forward and backward pass on blank samples before anything trains: what does not fit together is said at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from descant.errors import UserError
from descant.inputs import Input
from descant.loop.objective import contrasted
from descant.loop.ranks import Ranks
from descant.model import MultiTaskModel
from descant.tasks import Task

ROWS = 2  # normalisation over a batch needs two
_FEATURE = "the feature"  # among names of parameters, none of which has blanks


def rehearse(model: MultiTaskModel, inputs: Mapping[str, Input], tasks: Mapping[str, Task]) -> dict[str, set[str]]:
    """Run ``model`` on blank samples, freeze what no task's gradient reaches, and return what each task's reaches.

    A frozen parameter stays as it starts; left as it is, ranks that train together would wait for its gradient.
    The model's other state and torch's random state are untouched.

    Raises:
        UserError: a trunk, head, loss or metric that does not take what it is given, or nothing to train.
    """
    with _untouched(model):
        ready = {name: _blank(input) for name, input in inputs.items()}
        shapes = ", ".join(f"{name} {tuple(value.shape[1:])}" for name, value in ready.items())
        with _sentence(f"the trunk does not take its inputs ({shapes}, each after the batch)"):
            features = model.sharing(ready, list(tasks))
        losses = {name: _loss(model, task, features[name], ready) for name, task in tasks.items()}
        trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        below: dict[int, set[str]] = {}  # by feature, which many tasks may have in common: one pass through the trunk
        reach = {}
        for name, loss in losses.items():
            feature = None if tasks[name].own_view else features[name]
            reach[name] = _reached(loss, trained, feature, below)
        everything = set().union(*reach.values())
        if not everything:
            raise UserError("no parameter is trained: no task's gradient reaches any, or all are frozen")
    for name, parameter in trained.items():
        parameter.requires_grad_(name in everything)
    return reach


def _reached(
    loss: Tensor, parameters: Mapping[str, nn.Parameter], feature: Tensor | None, below: dict[int, set[str]]
) -> set[str]:
    """Return the names of the parameters that have a gradient of ``loss``: in the head, and ``below`` its feature.

    Without a feature all are looked for at once.
    """
    if feature is None:
        return _with_gradient(loss, parameters)
    heads = {name: parameter for name, parameter in parameters.items() if not name.startswith("sharing.")}
    if not feature.requires_grad:
        return _with_gradient(loss, heads)
    found = _with_gradient(loss, {**heads, _FEATURE: feature})
    if _FEATURE not in found:
        return found
    if id(feature) not in below:
        shared = {name: parameter for name, parameter in parameters.items() if name not in heads}
        below[id(feature)] = _with_gradient(feature.sum(), shared)
    return found - {_FEATURE} | below[id(feature)]


def _with_gradient(value: Tensor, of: Mapping[str, Tensor]) -> set[str]:
    if not value.requires_grad or not of:
        return set()
    gradients = torch.autograd.grad(value, list(of.values()), retain_graph=True, allow_unused=True)
    return {name for name, gradient in zip(of, gradients, strict=True) if gradient is not None}


def _blank(input: Input) -> Tensor:
    arrays = input.blank().arrays
    return input.finish(
        {part: torch.from_numpy(np.stack([np.asarray(array)] * ROWS)) for part, array in arrays.items()}
    )


def _loss(model: MultiTaskModel, task: Task, feature: Tensor, ready: Mapping[str, Tensor]) -> Tensor:
    name = task.name
    shape = tuple(feature.shape[1:])
    with _sentence(f"the head of the task {name!r} does not take the feature {task.feature!r} of shape {shape}"):
        output = model.output(name, feature)
    output, target = _seen(model, task, ready) if task.own_view else (output, _target(task, ready))
    given = f"an output of shape {_shape(output)} for a target of shape {_shape(target)}"
    with _sentence(f"the task {name!r} cannot compute its loss from {given}"):
        losses_B = task.loss(output, target)
    if losses_B.shape != (ROWS,):
        raise UserError(
            f"the loss of the task {name!r} has the shape {_shape(losses_B)} for {ROWS} samples ({given}): "
            f"return one number per sample, shape (B,)"
        )
    with torch.no_grad(), _sentence(f"the task {name!r} cannot compute its metrics from {given}"):
        prediction = task.predict(output)
        for metric in task.metrics().values():
            metric.statistics(prediction, target)
    total: Tensor = losses_B.sum()
    return total


def _seen(model: MultiTaskModel, task: Task, ready: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return output and target of a task for its own view of blank samples."""
    with _sentence(f"the task {task.name!r} cannot make its own view of the inputs"):
        drawn = torch.from_numpy(np.stack([task.draw(np.random.default_rng(0))] * ROWS))
        seen = task.view(ready, drawn)
        target = task.view_target(ready, drawn)
    with _sentence(f"the trunk or head does not take the inputs as the task {task.name!r} sees them"):
        output = model(ready, [task.name], {task.name: seen}, [task.name] if task.pairs else [])[task.name]
    if task.pairs:
        with _sentence(f"the task {task.name!r} cannot hold outputs of shape {_shape(output)} against each other"):
            output = contrasted(task, output, torch.ones(ROWS, dtype=torch.bool), 1, Ranks())
    return output, target


def _target(task: Task, ready: Mapping[str, Tensor]) -> Tensor:
    if task.label is None and task.input is not None:
        return ready[task.input]
    with _sentence(f"the task {task.name!r} has no target for a sample without its label"):
        return torch.from_numpy(np.stack([task.blank()] * ROWS))


def _shape(value: object) -> object:
    return tuple(value.shape[1:]) if isinstance(value, Tensor) else type(value).__name__


@contextmanager
def _sentence(sentence: str) -> Iterator[None]:
    """What a user's class raises becomes a sentence; its traceback is the cause."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{sentence}: {type(error).__name__}: {reason}") from error


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Keep random state, mode and buffers as they are, and leave no gradient behind."""
    modes = {module: module.training for module in model.modules()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.random.fork_rng(devices=[]):
            model.train()
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
        for parameter in model.parameters():
            parameter.grad = None
