"""Reads samples of a split by number, through the byte offsets of the shards' indexes; shards are here or remote."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from descant.data.description import Description
from descant.data.folder import Folder, open_folder
from descant.data.index import ShardIndex
from descant.data.open_shards import LOCAL, REMOTE, OpenShards
from descant.data.prefetch import Prefetch
from descant.data.table import ShardProblem
from descant.errors import RunError, UserError

logger = logging.getLogger("descant")


class SplitReader:
    """Random access to the samples of one split of a data set.

    Args:
        place: the data set's folder or URL.
        description: what it holds.
        split: ``train``, ``validation`` or ``test``.

    Attributes:
        indexes: of the shards; a shard's samples are numbered on from those of the shards before it.

    Raises:
        UserError: the split does not exist or is empty, or a shard is missing or not whole.
    """

    def __init__(self, place: str | Path | Folder, description: Description, split: str) -> None:
        self.folder = open_folder(place)
        where = self.folder.place
        if split not in description.splits or not description.splits[split].shards:
            raise UserError(
                f"the data set {where!r} has no split {split!r}: it has {', '.join(description.splits) or 'none'}"
            )
        self.indexes: Sequence[ShardIndex] = self.folder.indexes(description.splits[split].shards)
        self._ends = np.cumsum([len(index.keys) for index in self.indexes])
        self._token = object()  # of this reader among those of the process
        self._prefetch: Prefetch | None = None
        self._refuse_damaged()
        if len(self) == 0:
            raise UserError(f"the split {split!r} of the data set {where!r} is empty: add samples to it")

    @property
    def is_remote(self) -> bool:
        """Whether shards are fetched before they are read: an order that needs few of them at once then serves best."""
        return self.folder.is_remote

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
            RunError: the shard ends before the member does, because it changed since it was indexed; or it is remote
                and cannot be fetched.
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
        try:
            labels = {} if data is None else json.loads(data)
        except ValueError as error:
            raise ValueError(f"the json member is no JSON: {error}") from error
        if not isinstance(labels, dict):
            raise ValueError(f"the json member holds {type(labels).__name__}, allowed is an object of labels")
        label = self.member(sample, "cls")
        return labels if label is None else {**labels, "cls": int(label)}

    def prefetch(self, samples: Sequence[int] | np.ndarray) -> None:
        """Begin to fetch the shards of samples that are read soon; what fails is said when they are read."""
        if self.is_remote:
            if self._prefetch is None or self._prefetch.pid != os.getpid():  # threads do not survive a fork
                self._prefetch = Prefetch()
            for shard in self._shards_of(samples):
                if self._open.get(self._token, shard) is None:
                    self._prefetch.begin(self.folder, self.indexes[shard])

    def check_unchanged(self, samples: Sequence[int] | np.ndarray) -> None:
        """See that the shards of samples that were read are still those that were indexed.

        Raises:
            RunError: one was written to, or has gone.
        """
        if not self.is_remote:  # nobody writes to the cache's
            for shard in self._shards_of(samples):
                self.folder.check_unchanged(self.indexes[shard], self._open.get(self._token, shard))

    def __getstate__(self) -> dict[str, Any]:
        """Leave threads behind, and open files, which are their process's."""
        return {**self.__dict__, "_prefetch": None}

    def close(self) -> None:
        """Close the shards."""
        self._open.close(self._token)
        if self._prefetch is not None:
            self._prefetch.close()

    def __del__(self) -> None:
        """Close the shards with the reader."""
        self.close() if hasattr(self, "_prefetch") else None

    @property
    def _open(self) -> OpenShards:
        return REMOTE if self.is_remote else LOCAL

    def _shards_of(self, samples: Sequence[int] | np.ndarray) -> list[int]:
        shards: list[int] = np.unique(np.searchsorted(self._ends, np.asarray(samples), side="right")).tolist()
        return shards

    def _file(self, shard: int) -> int:
        opened = self._open.get(self._token, shard)
        if opened is None:
            opened = self._open.open(self._token, shard, self.folder, self.indexes[shard])
            if self._prefetch is not None:
                self._prefetch.forget(self.indexes[shard])
        return opened.descriptor

    def _refuse_damaged(self) -> None:
        problems = [problem for index in self.indexes for problem in index.problems]
        damage = [problem for problem in problems if not problem.of_no_sample]
        if damage:
            first = damage[0]
            where = f" at {first.key!r}" if first.key else ""
            raise UserError(
                f"the shard {first.shard!r} is not whole{where}, byte {first.offset}: {first.problem}; pack it again "
                f"({len(damage)} problems in all, which 'descant data verify' lists)"
            )
        if problems:
            _tell_left_out(self.folder.place, len(problems), problems[0])


@lru_cache(maxsize=64)  # once a process for each split
def _tell_left_out(place: str, count: int, first: ShardProblem) -> None:
    logger.warning(
        "members of the shards in %s that are of no sample are left out: %d, the first %r of %s",
        *(place, count, first.key, first.shard),
    )
