"""Reads samples of a split by number, through the byte offsets of the shards' indexes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from descant.data.description import Description
from descant.data.index import ShardIndex, load_indexes
from descant.errors import RunError, UserError

_MAX_OPEN_FILES = 128


class SplitReader:
    """Random access to the samples of one split of a data set.

    Args:
        folder: the data set.
        description: what it holds.
        split: ``train``, ``validation`` or ``test``.

    Raises:
        UserError: the split does not exist or is empty, or a shard is damaged.
    """

    def __init__(self, folder: Path, description: Description, split: str) -> None:
        if split not in description.splits or not description.splits[split].shards:
            raise UserError(
                f"the data set {str(folder)!r} has no split {split!r}: it has {', '.join(description.splits) or 'none'}"
            )
        paths = [folder / shard for shard in description.splits[split].shards]
        for path in paths:
            if not path.exists():
                raise UserError(
                    f"the shard {str(path)!r} that dataset.json names is missing: put it back or pack again"
                )
        self.indexes: Sequence[ShardIndex] = load_indexes(paths)
        self._ends = np.cumsum([len(index.keys) for index in self.indexes])
        self._files: dict[int, int] = {}
        self._refuse_damaged()
        if len(self) == 0:
            raise UserError(f"the split {split!r} of the data set {str(folder)!r} is empty: add samples to it")

    def __len__(self) -> int:
        """Return the number of samples."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def locate(self, sample: int) -> tuple[ShardIndex, int]:
        """Return the shard's index of a sample and the sample's row in it."""
        shard = int(np.searchsorted(self._ends, sample, side="right"))
        start = int(self._ends[shard - 1]) if shard else 0
        return self.indexes[shard], sample - start

    def member(self, sample: int, extension: str | Sequence[str]) -> bytes | None:
        """Return the bytes of a sample's member, of several extensions the first there is, or None without any.

        Raises:
            RunError: the shard ends before the member does, because it changed since it was indexed.
        """
        shard = int(np.searchsorted(self._ends, sample, side="right"))
        row = sample - (int(self._ends[shard - 1]) if shard else 0)
        index = self.indexes[shard]
        wanted = (extension,) if isinstance(extension, str) else extension
        found = next((one for one in wanted if one in index.offsets and index.offsets[one][row] >= 0), None)
        if found is None:
            return None
        offset, size = int(index.offsets[found][row]), int(index.sizes[found][row])
        data = os.pread(self._file(shard), size, offset)
        if len(data) != size:
            raise RunError(
                f"the shard {index.path.name!r} ends within the sample {index.keys[row]!r} ({found}): "
                f"it changed during the run; put it back and run the same command again"
            )
        return data

    def labels(self, sample: int) -> dict[str, Any]:
        """Return a sample's labels; a ValueError when its JSON is not an object."""
        data = self.member(sample, "json")
        labels = {} if data is None else json.loads(data)
        if not isinstance(labels, dict):
            raise ValueError(f"the json member holds {type(labels).__name__}, allowed is an object of labels")
        label = self.member(sample, "cls")
        return labels if label is None else {**labels, "cls": int(label)}

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files behind: each loader process opens its own."""
        return {**self.__dict__, "_files": {}}

    def close(self) -> None:
        """Close the shards."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()

    def __del__(self) -> None:
        """Close the shards with the reader."""
        self.close() if hasattr(self, "_files") else None

    def _file(self, shard: int) -> int:
        if shard not in self._files:
            if len(self._files) >= _MAX_OPEN_FILES:
                os.close(self._files.pop(next(iter(self._files))))
            self._files[shard] = os.open(self.indexes[shard].path, os.O_RDONLY)
        return self._files[shard]

    def _refuse_damaged(self) -> None:
        problems = [problem for index in self.indexes for problem in index.problems]
        if problems:
            first = problems[0]
            raise UserError(
                f"the shard {first.shard!r} is damaged at byte {first.offset} (sample {first.key!r}): {first.problem}; "
                f"pack it again ({len(problems)} problems in all)"
            )
