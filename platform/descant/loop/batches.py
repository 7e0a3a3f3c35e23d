"""Makes batches: reads, decodes and stacks the samples of one rank's slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from descant.data.batch import BadSample, Batch, columns
from descant.data.mixup import Mixup, mixed
from descant.data.order import Order, Slice, TrainingOrder, sample_rng, view_rng
from descant.data.sources import JoinedReader
from descant.errors import UserError
from descant.inputs.base import Input, View
from descant.tasks import BadLabel, Task
from descant.tasks.fusion import together

BATCHES_AHEAD = 16
_LONGEST_REASON = 300  # characters


class BatchMaker:
    """Makes this rank's batch at (epoch, batch).

    Args:
        reader: the split.
        order: which samples are in which batch.
        inputs: the recipe's inputs by name.
        tasks: the recipe's tasks by name.
        mixup: how training samples are mixed, if they are.
    """

    def __init__(
        self,
        reader: JoinedReader,
        order: Order,
        inputs: Mapping[str, Input],
        tasks: Mapping[str, Task],
        mixup: Mixup | None = None,
    ) -> None:
        self.reader, self.order, self.inputs, self.mixup = reader, order, inputs, mixup
        self.labelled = {name: task for name, task in tasks.items() if task.label is not None}
        self.unlabelled = [name for name, task in tasks.items() if task.label is None]
        self.groups = together(self.labelled)
        self.viewing = {name: task for name, task in tasks.items() if task.own_view}

    def make(self, epoch: int, batch: int) -> Batch:
        """Return a batch.

        Raises:
            UserError: a remote shard that the server refuses.
            RunError: a shard that has gone, was changed, or cannot be fetched.
        """
        rows = self.order.slice(epoch, batch)
        if self.reader.is_remote:
            self._prefetch(epoch, batch)
        bad: list[BadSample] = []
        samples = [
            self._sample(int(sample), epoch, int(position), bad)
            for sample, position in zip(rows.samples, rows.positions, strict=True)
        ]
        self.reader.check_unchanged(rows.samples)
        valid = rows.valid & np.asarray([sample.readable for sample in samples])
        whole = replace(self._stack(samples, valid, bad), drawn=self._drawn(epoch, rows.positions.tolist()))
        if self.mixup is None or not isinstance(self.order, TrainingOrder):
            return whole
        return self._mix(whole, samples, epoch, batch, rows)

    def _drawn(self, epoch: int, positions: Sequence[int]) -> dict[str, torch.Tensor]:
        """Return what each task that makes its own view draws for it: in an evaluation always the same."""
        seed, epoch = (self.order.seed, epoch) if isinstance(self.order, TrainingOrder) else (0, 0)
        return {
            name: torch.from_numpy(np.stack([task.draw(view_rng(seed, epoch, one, name)) for one in positions]))
            for name, task in self.viewing.items()
        }

    def _prefetch(self, epoch: int, batch: int) -> None:
        """Have the shards of this and the next batches fetched while this one is made."""
        ahead = range(batch, min(batch + BATCHES_AHEAD, self.order.batches))
        self.reader.prefetch(np.concatenate([self.order.slice(epoch, one).samples for one in ahead]))

    def _mix(self, whole: Batch, samples: Sequence[_Sample], epoch: int, batch: int, rows: Slice) -> Batch:
        """Mix samples with others of the global batch; a partner that cannot be read leaves a sample as it is."""
        assert self.mixup is not None and isinstance(self.order, TrainingOrder)
        everyone = self.order.whole(epoch, batch)
        here = dict(zip(rows.positions.tolist(), samples, strict=True))
        partners, shares = [], []
        for own, position in zip(samples, rows.positions.tolist(), strict=True):
            share, after = self.mixup.draw(self.order.seed, epoch, position, len(everyone.positions))
            place = (position - int(everyone.positions[0]) + after) % len(everyone.positions)
            other_position = int(everyone.positions[place])
            if after and other_position not in here:
                here[other_position] = self._sample(int(everyone.samples[place]), epoch, other_position, [])
            other = here[other_position]
            usable = own.readable and other.readable
            partners.append(other if usable else own)
            shares.append(share if usable else 1.0)
        readable = np.asarray([partner.readable for partner in partners])
        return mixed(whole, self._stack(partners, readable, []), np.asarray(shares), self.mixup.tasks)

    def _sample(self, sample: int, epoch: int, position: int, bad: list[BadSample]) -> _Sample:
        shard, key = self.reader.name_of(sample)
        try:
            decoded = {name: self._decoded(sample, name, input) for name, input in self.inputs.items()}
            labels = self.reader.labels(sample)
        except UserError:
            raise
        except (ValueError, RecursionError) as error:
            bad.append(BadSample(shard, key, "decode", _short(str(error) or type(error).__name__)))
            trains = isinstance(self.order, TrainingOrder)
            blanks = {name: [input.blank()] * (1 if trains else input.views) for name, input in self.inputs.items()}
            return _Sample(key, blanks, {}, readable=False)
        views = self._views(decoded, epoch, position)
        targets = {}
        for name, task in self.labelled.items():
            label = task.read(labels)
            if label is None:
                continue
            try:
                targets[name] = task.target(label, {input: views[input][0] for input in views})
            except BadLabel as error:
                bad.append(BadSample(shard, key, "label", _short(f"{name}: {error}")))
        return _Sample(key, views, targets, readable=True)

    def _decoded(self, sample: int, name: str, input: Input) -> Any:
        wanted = input.field.extension
        assert wanted is not None, f"the field of the input {name!r} names no extension"
        member = self.reader.member(sample, wanted)
        if member is None:
            wanted = wanted if isinstance(wanted, str) else " or ".join(wanted)
            raise ValueError(f"the sample has no {wanted} member for the input {name!r}")
        return input.decode(member)

    def _views(self, decoded: Mapping[str, Any], epoch: int, position: int) -> dict[str, list[View]]:
        """Return the views to train on, or those of an evaluation; errors here are our own."""
        if not isinstance(self.order, TrainingOrder):
            return {name: input.evaluation_views(decoded[name]) for name, input in self.inputs.items()}
        rng = sample_rng(self.order.seed, epoch, position)
        return {name: [input.train_view(decoded[name], rng)] for name, input in self.inputs.items()}

    def _stack(self, samples: Sequence[_Sample], valid: np.ndarray, bad: list[BadSample]) -> Batch:
        arrays: dict[str, dict[str, torch.Tensor]] = {}
        views = 1
        for name in self.inputs:
            looks = [view for sample in samples for view in sample.views[name]]
            views = max(views, len(samples[0].views[name]))
            arrays[name] = {
                part: torch.from_numpy(_stack([view.arrays[part] for view in looks])) for part in looks[0].arrays
            }
        labels = {names: self._labels(names, samples, valid) for names in self.groups}
        targets, present = columns(labels)
        present |= {name: torch.from_numpy(valid) for name in self.unlabelled}
        keys = [sample.key for sample in samples]
        several = {names: both for names, both in labels.items() if len(names) > 1}
        complete = frozenset(names for names, (_, mask) in labels.items() if mask.all())
        valid_B = torch.from_numpy(valid)
        return Batch(keys, arrays, targets, present, valid_B, views, bad, together=several, complete=complete)

    def _labels(
        self, names: tuple[str, ...], samples: Sequence[_Sample], valid: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the targets of tasks that go together, (B, tasks, …), and which are there, (B, tasks)."""
        blank = self.labelled[names[0]].blank()
        rows = [[sample.targets.get(name) for name in names] for sample in samples]
        targets = np.stack([blank if target is None else target for row in rows for target in row])
        present = np.asarray([[target is not None for target in row] for row in rows]) & valid[:, None]
        whole = torch.from_numpy(targets.reshape(len(samples), len(names), *targets.shape[1:]))
        return whole, torch.from_numpy(present)


class _Sample:
    """One decoded sample."""

    __slots__ = ("key", "readable", "targets", "views")

    def __init__(self, key: str, views: dict[str, list[View]], targets: dict[str, np.ndarray], readable: bool) -> None:
        self.key, self.views, self.targets, self.readable = key, views, targets, readable


def _stack(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Stack arrays; waveforms of different lengths are padded with zeros at their ends."""
    if arrays[0].ndim == 1 and any(array.shape != arrays[0].shape for array in arrays):
        length = max(array.shape[0] for array in arrays)
        arrays = [np.pad(array, (0, length - array.shape[0])) for array in arrays]
    return np.stack(arrays)


def _short(reason: str) -> str:
    """Return a reason that fits a line: what a broken sample holds may be long."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
