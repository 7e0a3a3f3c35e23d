"""What tasks send to one feature, each one's gradient apart from the others'.

Gradients of single heads lie side by side. Those of fused linear heads are not made: δ_k, the gradient at a task's
output, and the head's weights W_k say all that is asked of δ_k W_k.

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
class FusedGradients:
    """Those of fused heads behind one gate: their tasks, outputs (B, K, …), weights (N, F) and the gate's factor."""

    tasks: list[str]
    outputs: Tensor
    heads: FusedHeads
    factor: float

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return the gradients at the outputs, (B, N), and the weights, (N, F)."""
        gradient = self.outputs.grad
        assert gradient is not None, "the losses' backward pass comes first"
        return widened(gradient.flatten(1)), self.heads.rows(self.tasks)[0].detach()

    def weighed(self, weights: Mapping[str, float], feature: Tensor) -> Tensor:
        """Return Σ α_k g_k over the tasks that have a weight, in the shape of their feature."""
        deltas_BN, weights_NF = self.moments()
        places = [place for place, task in enumerate(self.tasks) if task in weights]
        deltas_BKO = deltas_BN.reshape(len(deltas_BN), len(self.tasks), -1)
        weights_KOF = weights_NF.reshape(len(self.tasks), -1, weights_NF.shape[1])
        if len(places) < len(self.tasks):
            deltas_BKO, weights_KOF = deltas_BKO[:, places], weights_KOF[places]
        alphas_K1 = deltas_BN.new_tensor([[self.factor * weights[self.tasks[place]]] for place in places])
        lifted = self.heads.lifted((deltas_BKO * alphas_K1).flatten(1) @ weights_KOF.flatten(0, 1), feature.shape)
        return lifted.to(feature.dtype)


@dataclass
class FeatureGradients:
    """What reads one feature: single heads' own copies of it by task, their gradients (S, N), and fused heads.

    The gradients lie in memory as the feature does, so that they are added where they are wanted.
    """

    feature: Tensor
    singles: dict[str, Tensor] = field(default_factory=dict)
    gradients: Tensor | None = None
    fused: list[FusedGradients] = field(default_factory=list)

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

    def gramian(self) -> Tensor:
        """Return the inner products of the gradients, in the order of ``tasks``."""
        rows: list[list[Tensor]] = []
        if self.gradients is not None:
            shaped = [self.shaped(gradient) for gradient in self.gradients]
            rows.append([_own(self.gradients), *(_across(shaped, group) for group in self.fused)])
        for place, group in enumerate(self.fused):
            mirrored = [row[1 + place].T for row in rows[:1] if self.gradients is not None]
            rows.append(mirrored + [_between(group, other, self.feature.shape) for other in self.fused])
        return torch.cat([torch.cat(row, 1) for row in rows])

    def weighed(self, weights: Mapping[str, float]) -> Tensor:
        """Return Σ α_k g_k in the feature's shape; a task without a weight adds nothing."""
        total: Tensor | None = None
        if self.gradients is not None:
            alphas_S = self.gradients.new_tensor([weights.get(task, 0.0) for task in self.singles])
            total = self.shaped(alphas_S @ self.gradients)
        for group in self.fused:
            if not weights.keys().isdisjoint(group.tasks):
                part = group.weighed(weights, self.feature)
                total = part if total is None else total + part
        return torch.zeros_like(self.feature) if total is None else total

    def unit_sums(self, tasks: Sequence[str]) -> Tensor:
        """Return each task's gradient times the sign of what a unit gives, summed over the rows: (K, …) of (B, …)."""
        signs = self.feature.detach().sign()
        zeros = signs.new_zeros(signs.shape[1:])
        return torch.stack([(signs * self.of(task)).sum(0) if task in self.singles else zeros for task in tasks])

    def masked(self, masks: Mapping[str, Tensor]) -> Tensor:
        """Return Σ m_k ∘ g_k over the tasks that have an m_k, of each unit, in the feature's shape."""
        total = torch.zeros_like(self.feature)
        for task in (task for task in self.singles if task in masks):
            total += masks[task].to(total) * self.of(task)
        return total

    def of(self, task: str) -> Tensor:
        """Return the gradient of one of the tasks."""
        if self.gradients is not None and task in self.singles:
            return self.shaped(self.gradients[list(self.singles).index(task)])
        group = next(group for group in self.fused if task in group.tasks)
        return group.weighed({task: 1.0}, self.feature)


def _own(gradients_SN: Tensor) -> Tensor:
    """Return the inner products of single heads' gradients, (S, S)."""
    parts = [widened(gradients_SN[:, start : start + _COLUMNS]) for start in range(0, gradients_SN.shape[1], _COLUMNS)]
    return torch.stack([part @ part.T for part in parts]).sum(0)


def _between(one: FusedGradients, other: FusedGradients, feature: torch.Size) -> Tensor:
    """Return the inner products of two groups' gradients at a feature of this shape, (K, K')."""
    (deltas_BN, weights_NF), (others_BN, other_weights_NF) = one.moments(), other.moments()
    products = (deltas_BN.T @ others_BN) * (weights_NF @ other_weights_NF.T)
    sums = products.reshape(len(one.tasks), -1, len(other.tasks), products.shape[1] // len(other.tasks)).sum((1, 3))
    return sums * (one.factor * other.factor / one.heads.places(feature))


def _across(gradients: Sequence[Tensor], group: FusedGradients) -> Tensor:
    """Return the inner products of single heads' gradients and those of a group, (S, K)."""
    deltas_BN, weights_NF = group.moments()
    rows = [((widened(group.heads.before(gradient)) @ weights_NF.T) * deltas_BN).sum(0) for gradient in gradients]
    return group.factor * torch.stack(rows).reshape(len(rows), len(group.tasks), -1).sum(2)


def is_dense(value: Tensor) -> bool:
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
    return value.stride() if is_dense(value) else torch.empty(value.shape, device="meta").stride()
