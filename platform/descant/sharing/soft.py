"""Soft parameter sharing: a trunk for each task, held together by terms of the loss.

Shapes: B samples, T tasks, P elements of a parameter.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from descant.errors import UserError, nearest
from descant.precision import widened
from descant.schedules import Schedule, parse_schedule
from descant.sharing.base import Coupling, MakeTrunk, Shapes, Sharing, sharings
from descant.sharing.own_trunks import own_trunks, reached, within
from descant.trunks.base import Trunk

Couple = Literal["l2_weights", "l2_activations", "cosine_activations", "trace_norm"]
Group = tuple[str, ...]


@sharings.register("soft")
class SoftSharing(Sharing):
    """A trunk for each task, all starting alike; what ``couple`` names is added to the loss, times ``strength``.

    ``l2_weights``: Σ ‖W_a − W_b‖²_F over pairs of tasks and parameters (Duong et al. 2015). ``trace_norm``: Σ ‖W‖_*
    over parameters, W (T, P) the tasks' values as rows: the flattening along the tasks of Yang & Hospedales (2017),
    which pulls them towards multiples of one another. ``l2_activations``: the mean square of f_a − f_b for each sample;
    ``cosine_activations``: 1 − cos(f_a, f_b).

    Only what all of them train is compared: what lies behind the feature that a task reads says nothing.

    Args:
        strength: a number from 0, or a schedule; with 0 the tasks do not know of each other.
        layers: modules of the trunk; by default all parameters, or for activations the features that the tasks read.
        to: ``main`` compares each task with the main one, ``all`` all pairs (all tasks at once for the trace norm).
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        features: Mapping[str, str],
        inputs: Shapes,
        couple: Couple = "l2_weights",
        strength: float | Mapping[str, Any] = 1e-3,
        layers: Sequence[str] | None = None,
        to: Literal["main", "all"] = "all",
    ) -> None:
        super().__init__()
        self.features, self.couple, self.pairs, self.layers = dict(features), couple, to, layers or None
        self.of_activations = couple in ("l2_activations", "cosine_activations")
        self.main = next(iter(features))
        self.schedule = _schedule(strength)
        self.begin_epoch(0, 1)
        self.trunks = own_trunks("soft", make_trunk, features)
        self.shapes = self._tap(inputs)
        self._reached = reached(self._trunk(self.main), inputs)
        self._kept: dict[str, dict[str, Tensor]] = {}
        self._names: dict[Group, list[str]] = {}
        for group in self._groups(list(features)):
            self._check(group)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set the strength."""
        self.strength = self.schedule.at(epoch, epochs)

    def forward(self, inputs: Mapping[str, Tensor], tasks: Collection[str]) -> dict[str, Tensor]:
        """Return each task's feature, of its own trunk."""
        given = {task: self.trunks[task](inputs) for task in tasks}
        if not self.is_own_view:
            self._kept = given if self.training and self.of_activations and self.strength else {}
        return {task: features[self.features[task]] for task, features in given.items()}

    def coupling(self, tasks: Collection[str]) -> Coupling:
        """Return how far ``tasks`` are apart: their weights, or what the latest ``forward`` gave."""
        kept, self._kept = self._kept, {}  # they hold the graph
        active = [task for task in self.features if task in tasks and (task in kept or not self.of_activations)]
        groups = self._groups(active)
        if not self.strength or not groups:
            return Coupling()
        values = kept if self.of_activations else {task: dict(self.trunks[task].named_parameters()) for task in active}
        terms = []
        for group in groups:
            compared = [[widened(values[task][name]) for task in group] for name in self._compared(group)]
            # Nothing is pulled to what is frozen.
            trained = [same for same in compared if all(value.requires_grad for value in same)]
            terms += [_DISTANCES[self.couple](trained)] if trained else []
        if not terms:
            return Coupling()
        total = self.strength * torch.stack(terms).sum(0)
        return Coupling(rows_B=total) if self.of_activations else Coupling(weights=total)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the activations out: a graph cannot be copied."""
        return {**self.__dict__, "_kept": {}}

    def _trunk(self, task: str) -> Trunk:
        trunk = self.trunks[task]
        assert isinstance(trunk, Trunk)
        return trunk

    def _tap(self, inputs: Shapes) -> dict[str, tuple[int, ...]]:
        """Have each trunk give what any task reads and what is compared; return the shapes of what the tasks read."""
        trunk = self._trunk(self.main)
        known = [name for name, _ in trunk.named_modules() if name]
        if self.of_activations:
            known += trunk.feature_shapes(inputs)
        layers = list(dict.fromkeys(self.layers or ()))
        for layer in layers:
            if layer not in known:
                raise UserError(f"the sharing 'soft' cannot compare the layer {layer!r}: {nearest(layer, known)}")
        wanted = {**self.features, **{layer: layer for layer in layers if self.of_activations}}
        shapes = {task: self._trunk(task).tap(wanted, inputs) for task in self.features}[self.main]
        return {task: shapes[task] for task in self.features}

    def _groups(self, tasks: Sequence[str]) -> list[Group]:
        """Return which tasks are compared with which."""
        if self.pairs == "main":
            return [(self.main, task) for task in tasks if task != self.main and self.main in tasks]
        if self.couple == "trace_norm":
            return [tuple(tasks)] if len(tasks) > 1 else []
        return list(itertools.combinations(tasks, 2))

    def _compared(self, group: Group) -> list[str]:
        """Return the parameters, or the features, that are compared in a group."""
        if group not in self._names:
            common = set.intersection(*(set(self._reached[self.features[task]]) for task in group))
            if self.of_activations:
                names = self.layers or [self.features[task] for task in group]
                fitting = [name for name in dict.fromkeys(names) if common.issuperset(self._reached[name])]
            else:
                ordered = self._reached[self.features[group[0]]]
                fitting = [n for n in ordered if n in common and (self.layers is None or within(n, self.layers))]
            self._names[group] = fitting
        return self._names[group]

    def _check(self, group: Group) -> None:
        """Raise a UserError when there is nothing to compare, or a layer that is not for all of a group."""
        names, who = self._compared(group), " and ".join(map(repr, group))
        layers = [None] if self.layers is None else list(self.layers)
        for layer in layers:
            if not any(layer is None or within(name, [layer]) for name in names):
                what = "what they read" if layer is None else f"the layer {layer!r}"
                raise UserError(
                    f"the sharing 'soft' cannot compare {what} between {who}: not all of them train it; "
                    f"name 'layers' that lead to the features of both"
                )


def _schedule(strength: float | Mapping[str, Any]) -> Schedule:
    schedule = parse_schedule("sharing.strength", strength)
    given = strength.values() if isinstance(strength, Mapping) else [strength]
    if any(isinstance(number, (int, float)) and number < 0 for number in given):
        raise UserError(f"sharing.strength is {strength!r}: give numbers from 0, negative ones would push tasks apart")
    return schedule


# Each takes, by parameter or feature, the tasks' values of it.


def _l2_weights(compared: Sequence[Sequence[Tensor]]) -> Tensor:
    return torch.stack([(a - b).square().sum() for a, b in compared]).sum()


def _trace_norm(compared: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return Σ σ of the stacked values: of T² inner products instead of the long matrices.

    With the roots kept from zero the gradient is that of least norm where tasks are equal, as they all start.
    """
    stacked = [torch.stack([value.flatten() for value in values]) for values in compared]
    products_NTT = torch.stack([weights_TP @ weights_TP.T for weights_TP in stacked])
    if not products_NTT.isfinite().all():
        return products_NTT.sum()  # the engine says so; a decomposition would fail
    squares_NT = torch.linalg.eigvalsh(products_NTT).clamp(min=0.0)
    smallest_N1 = 1e-6 * squares_NT.detach().mean(1, keepdim=True) + 1e-12  # biases may be zero in all tasks
    norm: Tensor = (squares_NT + smallest_N1).sqrt().sum()
    return norm


def _l2_activations(compared: Sequence[Sequence[Tensor]]) -> Tensor:
    return torch.stack([(a - b).square().flatten(1).mean(1) for a, b in compared]).sum(0)


def _cosine_activations(compared: Sequence[Sequence[Tensor]]) -> Tensor:
    return torch.stack([1.0 - torch.cosine_similarity(a.flatten(1), b.flatten(1)) for a, b in compared]).sum(0)


_DISTANCES = {
    "l2_weights": _l2_weights,
    "l2_activations": _l2_activations,
    "cosine_activations": _cosine_activations,
    "trace_norm": _trace_norm,
}
