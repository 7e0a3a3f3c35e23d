"""The cut between what tasks share and what is their own: each task's gradient at its feature, apart from the others'.

The losses' backward pass ends at the cut. There the gradients of single heads lie side by side. Those of fused linear
heads are not made: δ_k, the gradient at a task's output, and the head's weights W_k say all that is asked of δ_k W_k.

    ⟨δ_i W_i, δ_j W_j⟩ = Σ (δ_iᵀ δ_j) ∘ (W_i W_jᵀ)        Σ_k α_k δ_k W_k = [α_k δ_k]_k [W_k]_k

Shapes: B samples, K tasks, S single heads on one feature, O outputs of each fused head, F features; N = K·O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from descant.heads.fused import FusedHeads
from descant.precision import widened

_COLUMNS = 1 << 20  # of gradients that are multiplied at once: half precision is widened piece by piece


@dataclass
class _Fused:
    """Fused heads behind one gate: their tasks, outputs (B, K, …), weights (N, F) and the gate's factor."""

    tasks: list[str]
    outputs: Tensor
    heads: FusedHeads
    factor: float

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return the gradients at the outputs, (B, N), and the weights, (N, F)."""
        gradient = self.outputs.grad
        assert gradient is not None, "the losses' backward pass comes first"
        return widened(gradient.flatten(1)), self.heads.rows(self.tasks)[0].detach()


@dataclass
class _Side:
    """What reads one feature: single heads' own copies of it by task, their gradients (S, N), and fused heads.

    The gradients lie in memory as the feature does, so that they are added where they are wanted.
    """

    feature: Tensor
    singles: dict[str, Tensor] = field(default_factory=dict)
    gradients: Tensor | None = None
    fused: list[_Fused] = field(default_factory=list)

    def expect_gradients(self) -> None:
        self.gradients = self.feature.new_zeros(len(self.singles), self.feature.numel())
        for own, gradient in zip(self.singles.values(), self.gradients, strict=True):
            own.grad = self.shaped(gradient)

    def shaped(self, flat_N: Tensor) -> Tensor:
        """Return a gradient in the feature's shape."""
        return flat_N.as_strided(self.feature.shape, _strides(self.feature), flat_N.storage_offset())

    @property
    def tasks(self) -> list[str]:
        return [*self.singles, *(name for group in self.fused for name in group.tasks)]


class Cut:
    """Ends the graph at the features of one forward pass, and goes on from there when the weights are known."""

    def __init__(self) -> None:
        self._sides: dict[int, _Side] = {}

    def single(self, task: str, feature: Tensor, factor: float) -> Tensor:
        """Return a task's own copy of its feature, at which the graph of its head, whose gate comes next, begins."""
        side = self._side(feature)
        if factor == 0.0 or not feature.requires_grad:
            return feature.detach()
        own = feature.detach()
        side.singles[task] = own if _is_dense(own) else own.contiguous()
        return side.singles[task].requires_grad_()

    def fused(self, tasks: Sequence[str], feature: Tensor, heads: FusedHeads, factor: float) -> Tensor:
        """Return the outputs of fused heads, (B, K, …), at which alone their gradients are kept.

        Args:
            tasks: of the heads, K.
            feature: that they read.
            heads: which.
            factor: of the gate before them.
        """
        outputs = heads(feature.detach(), tasks)
        assert isinstance(outputs, Tensor)
        if outputs.requires_grad:
            outputs.retain_grad()
        side = self._side(feature)
        if factor != 0.0 and feature.requires_grad:
            side.fused.append(_Fused(list(tasks), outputs, heads, factor))
        return outputs

    @property
    def tasks(self) -> list[str]:
        """The tasks whose gradients reach what is shared: their gates are open."""
        return [task for side in self._sides.values() for task in side.tasks]

    def expect_gradients(self) -> None:
        """Make room for the gradients of single heads, side by side; called before the losses' backward pass."""
        for side in self._sides.values():
            if side.singles:
                side.expect_gradients()

    def gramian(self, tasks: Sequence[str]) -> Tensor:
        """Return the inner products of the tasks' gradients, (K, K) float64; 0 where two read different features."""
        places = {task: place for place, task in enumerate(tasks)}
        whole_KK = torch.zeros(len(tasks), len(tasks), dtype=torch.float64)
        for side in self._sides.values():
            if not side.tasks:
                continue
            part = _gramian(side).double().to(whole_KK.device)
            known = [place for place, task in enumerate(side.tasks) if task in places]
            at = torch.tensor([places[side.tasks[place]] for place in known])
            whole_KK[at[:, None], at] += part[known][:, known]
        return whole_KK

    def gradients(self, task: str, parameters: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """Return the gradient that a task sends into what is shared, of each of these parameters.

        The graph is kept: it costs one backward pass of what is shared.
        """
        sides = [side for side in self._sides.values() if task in side.tasks]
        if not sides:
            return [None] * len(parameters)
        ends = [_weighed(side, {task: 1.0}) for side in sides]
        features = [side.feature for side in sides]
        return torch.autograd.grad(features, parameters, ends, retain_graph=True, allow_unused=True)

    def backward(self, weights: Mapping[str, float], also: Tensor | None = None) -> None:
        """Send the weighted sum of the tasks' gradients on into what is shared; tasks without a weight add nothing.

        Args:
            weights: by task.
            also: a term of the loss whose graph goes past the cut.
        """
        sides = [side for side in self._sides.values() if side.feature.requires_grad]
        tensors, gradients = [side.feature for side in sides], [_weighed(side, weights) for side in sides]
        ends: list[Tensor | None] = [*gradients]
        if also is not None:
            tensors, ends = [*tensors, also], [*ends, None]
        if tensors:
            torch.autograd.backward(tensors, ends)

    def _side(self, feature: Tensor) -> _Side:
        return self._sides.setdefault(id(feature), _Side(feature))


def _gramian(side: _Side) -> Tensor:
    """Return the inner products of the gradients at one feature, in the order of ``side.tasks``."""
    rows: list[list[Tensor]] = []
    if side.gradients is not None:
        shaped = [side.shaped(gradient) for gradient in side.gradients]
        rows.append([_own(side.gradients), *(_across(shaped, group) for group in side.fused)])
    for place, group in enumerate(side.fused):
        mirrored = [row[1 + place].T for row in rows[:1] if side.gradients is not None]
        rows.append(mirrored + [_between(group, other, side.feature.shape) for other in side.fused])
    return torch.cat([torch.cat(row, 1) for row in rows])


def _own(gradients_SN: Tensor) -> Tensor:
    """Return the inner products of single heads' gradients, (S, S)."""
    parts = [widened(gradients_SN[:, start : start + _COLUMNS]) for start in range(0, gradients_SN.shape[1], _COLUMNS)]
    return torch.stack([part @ part.T for part in parts]).sum(0)


def _between(one: _Fused, other: _Fused, feature: torch.Size) -> Tensor:
    """Return the inner products of two groups' gradients at a feature of this shape, (K, K')."""
    (deltas_BN, weights_NF), (others_BN, other_weights_NF) = one.moments(), other.moments()
    products = (deltas_BN.T @ others_BN) * (weights_NF @ other_weights_NF.T)
    sums = products.reshape(len(one.tasks), -1, len(other.tasks), products.shape[1] // len(other.tasks)).sum((1, 3))
    return sums * (one.factor * other.factor / one.heads.places(feature))


def _across(gradients: Sequence[Tensor], group: _Fused) -> Tensor:
    """Return the inner products of single heads' gradients and those of a group, (S, K)."""
    deltas_BN, weights_NF = group.moments()
    rows = [((widened(group.heads.before(gradient)) @ weights_NF.T) * deltas_BN).sum(0) for gradient in gradients]
    return group.factor * torch.stack(rows).reshape(len(rows), len(group.tasks), -1).sum(2)


def _weighed(side: _Side, weights: Mapping[str, float]) -> Tensor:
    """Return Σ α_k g_k at one feature."""
    total: Tensor | None = None
    if side.gradients is not None:
        alphas_S = side.gradients.new_tensor([weights.get(task, 0.0) for task in side.singles])
        total = side.shaped(alphas_S @ side.gradients)
    for group in side.fused:
        deltas_BN, weights_NF = group.moments()
        alphas_K1 = deltas_BN.new_tensor([[group.factor * weights.get(task, 0.0)] for task in group.tasks])
        scaled_BN = (deltas_BN.reshape(len(deltas_BN), len(alphas_K1), -1) * alphas_K1).flatten(1)
        part = group.heads.lifted(scaled_BN @ weights_NF, side.feature.shape).to(side.feature.dtype)
        total = part if total is None else total + part
    return torch.zeros_like(side.feature) if total is None else total


def _is_dense(value: Tensor) -> bool:
    """Return whether a tensor fills its piece of memory, in whatever order of dimensions, each place once."""
    expected = 1
    for stride, size in sorted(
        (stride, size) for stride, size in zip(value.stride(), value.shape, strict=True) if size > 1
    ):
        if stride != expected:
            return False
        expected *= size
    return True


def _strides(value: Tensor) -> tuple[int, ...]:
    """Return the strides of a tensor, or if it is not dense those that its contiguous copy has."""
    return value.stride() if _is_dense(value) else torch.empty(value.shape, device="meta").stride()
