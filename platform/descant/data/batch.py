"""A batch: what loaders hand to the training loop.

Shapes: B rows (samples times evaluation views for inputs, samples for the rest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class BadSample:
    """A sample, or a label of it, that could not be used; it keeps its place in the order, masked out.

    Attributes:
        stage: ``decode`` or ``label``.
        error: the reason in plain words.
    """

    shard: str
    key: str
    stage: str
    error: str


@dataclass(frozen=True)
class Batch:
    """Stacked samples.

    Attributes:
        keys: the samples' keys.
        arrays: per input, the stacked arrays of its views, before ``Input.finish``.
        targets: per task with a label, the stacked targets; rows without a label hold any value.
        present: per task, which samples teach it, (B,).
        valid: which rows count at all, (B,): not padding, and readable.
        views: how many views of each sample the inputs hold, side by side.
        bad: what could not be used.
        partner: what the samples are mixed with, row by row (mixup.py), if they are.
        share_B: how much of each mixed sample is its own, (B,); 1 where it is not mixed.
        drawn: per task that makes its own view of the inputs, what was drawn for each sample, (B, …).
        together: of tasks whose losses are computed together, targets (B, tasks, …) and masks (B, tasks), of which
            ``targets`` and ``present`` hold the columns.
        complete: the tasks, alone or together, that every row teaches: their losses need no mask.
    """

    keys: list[str]
    arrays: dict[str, dict[str, Tensor]]
    targets: dict[str, Tensor]
    present: dict[str, Tensor]
    valid: Tensor
    views: int = 1
    bad: list[BadSample] = field(default_factory=list)
    partner: Batch | None = None
    share_B: Tensor | None = None
    drawn: dict[str, Tensor] = field(default_factory=dict)
    together: dict[tuple[str, ...], tuple[Tensor, Tensor]] = field(default_factory=dict)
    complete: frozenset[tuple[str, ...]] = frozenset()

    def labels(self, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Return the targets of several tasks, (B, tasks, …), and which samples teach them, (B, tasks)."""
        if names in self.together:
            return self.together[names]
        target, mask = ([column[name] for name in names] for column in (self.targets, self.present))
        return torch.stack(target, 1), torch.stack(mask, 1)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory; called by torch's DataLoader."""
        return self._map(lambda tensor: tensor.pin_memory())

    def rows(self, start: int, stop: int) -> Batch:
        """Return the samples from ``start`` to ``stop``: a micro-batch."""
        if start == 0 and stop >= len(self.keys):
            return self
        views = self.views
        return replace(
            self,
            keys=self.keys[start:stop],
            arrays={
                name: {part: array[start * views : stop * views] for part, array in arrays.items()}
                for name, arrays in self.arrays.items()
            },
            targets={name: target[start:stop] for name, target in self.targets.items()},
            present={name: mask[start:stop] for name, mask in self.present.items()},
            drawn={name: drawn[start:stop] for name, drawn in self.drawn.items()},
            together={names: (target[start:stop], mask[start:stop]) for names, (target, mask) in self.together.items()},
            valid=self.valid[start:stop],
            partner=None if self.partner is None else self.partner.rows(start, stop),
            share_B=None if self.share_B is None else self.share_B[start:stop],
        )

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        together = {names: (function(target), function(mask)) for names, (target, mask) in self.together.items()}
        targets, present = columns(together)
        return replace(
            self,
            arrays={
                name: {part: function(array) for part, array in arrays.items()} for name, arrays in self.arrays.items()
            },
            targets=targets | {name: function(self.targets[name]) for name in self.targets.keys() - targets.keys()},
            present=present | {name: function(self.present[name]) for name in self.present.keys() - present.keys()},
            drawn={name: function(drawn) for name, drawn in self.drawn.items()},
            together=together,
            valid=function(self.valid),
            partner=None if self.partner is None else self.partner._map(function),
            share_B=None if self.share_B is None else function(self.share_B),
        )


def columns(
    together: Mapping[tuple[str, ...], tuple[Tensor, Tensor]],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the targets and masks of each task out of those of several."""
    targets: dict[str, Tensor] = {}
    present: dict[str, Tensor] = {}
    for names, (target, mask) in together.items():
        targets |= zip(names, target.unbind(1), strict=True)
        present |= zip(names, mask.unbind(1), strict=True)
    return targets, present
