"""Batch normalisation over the global batch, on CPUs as on GPUs (torch's SyncBatchNorm needs GPUs).

With it N ranks normalise as one rank would, which is what makes their gradients equal. Rows that only fill a slice up,
and those of samples that could not be read, are left out of the statistics on any number of ranks.
Shapes: B rows of this rank, C channels, … positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from descant.loop.ranks import Ranks


class GlobalBatchNorm(nn.Module):
    """Takes the place of a ``BatchNorm``: same parameters and buffers under the same names, same results on one rank.

    Args:
        norm: the layer that it replaces.
        ranks: who normalises along.
    """

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.momentum = norm.momentum
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        # timm's layers apply an activation and dropout after the normalisation.
        self.drop, self.act = getattr(norm, "drop", None), getattr(norm, "act", None)
        self.valid_B: Tensor | None = None
        self.is_tracking = True  # in training: whether what it sees goes into the running statistics

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, …) over B and … of all ranks' valid rows; by the running statistics in evaluation."""
        alone = self._ranks.world_size == 1 and self.valid_B is None
        x = self._over_all_ranks(x) if self.training and not alone else self._by_torch(x)
        for after in (self.drop, self.act):
            x = x if after is None else after(x)
        return x

    def _by_torch(self, x: Tensor) -> Tensor:
        """Evaluation, or one rank whose rows all count: torch's own kernel."""
        momentum = self.momentum
        if self.training and self.is_tracking and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            momentum = 1.0 / float(self.num_batches_tracked) if momentum is None else momentum
        batch_statistics = self.training or self.running_mean is None
        left_alone = self.training and not self.is_tracking
        mean, variance = (None, None) if left_alone else (self.running_mean, self.running_var)
        return nn.functional.batch_norm(
            x, mean, variance, self.weight, self.bias, batch_statistics, momentum or 0.0, self.eps
        )

    def _over_all_ranks(self, x: Tensor) -> Tensor:
        mean_C, variance_C = self._statistics(x)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        scale_C = torch.rsqrt(variance_C + self.eps)
        shift_C = -mean_C * scale_C
        if self.weight is not None:
            scale_C, shift_C = scale_C * self.weight, shift_C * self.weight + self.bias
        return (x * scale_C.reshape(shape) + shift_C.reshape(shape)).to(x.dtype)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        flat_BCX = x.float().flatten(2) if x.ndim > 2 else x.float()[..., None]
        counts_B11 = self._counts(flat_BCX)
        positions = flat_BCX.shape[2]
        sums_C = torch.where(counts_B11, flat_BCX, 0.0).sum((0, 2))
        count = counts_B11.sum().reshape(1).float() * positions
        sums = self._ranks.sum_with_gradient(torch.cat([sums_C, count]))
        total = sums[-1].detach()
        mean_C = sums[:-1] / total.clamp(min=1)
        # A second pass over the deviations is as exact as one rank's own; sums of squares would cancel.
        deviations_BCX = torch.where(counts_B11, flat_BCX - mean_C[:, None], 0.0)
        variance_C = self._ranks.sum_with_gradient(deviations_BCX.square().sum((0, 2))) / total.clamp(min=1)
        self._track(mean_C, variance_C, total)
        return mean_C, variance_C

    def _counts(self, flat_BCX: Tensor) -> Tensor:
        """Return which rows count, (B, 1, 1); a trunk may have folded positions into rows, a sample's side by side."""
        rows = len(flat_BCX)
        if self.valid_B is None:
            return torch.ones(rows, 1, 1, dtype=torch.bool, device=flat_BCX.device)
        if rows % len(self.valid_B):
            raise ValueError(
                f"a batch normalisation sees {rows} rows of {len(self.valid_B)} samples: batch rows must stay together"
            )
        return self.valid_B.repeat_interleave(rows // len(self.valid_B))[:, None, None]

    @torch.no_grad()
    def _track(self, mean_C: Tensor, variance_C: Tensor, total: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        if not self.is_tracking:
            return
        tracked = (total > 0).to(self.num_batches_tracked.dtype)  # a batch of which no row could be read says nothing
        self.num_batches_tracked += tracked
        momentum = self.momentum if self.momentum is not None else 1.0 / self.num_batches_tracked.clamp(min=1)
        weight = (tracked * momentum).to(mean_C.dtype)
        self.running_mean.lerp_(mean_C, weight)
        self.running_var.lerp_(variance_C * (total / (total - 1).clamp(min=1)), weight)


def globalise(model: nn.Module, ranks: Ranks) -> list[GlobalBatchNorm]:
    """Replace every batch normalisation in ``model``; return the new layers, whose ``valid_B`` is set at each step."""
    replaced = []
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                layer = GlobalBatchNorm(child, ranks).train(child.training)
                layer._forward_hooks.update(child._forward_hooks)  # its output may be a feature
                setattr(parent, name, layer)
                replaced.append(layer)
    return replaced
