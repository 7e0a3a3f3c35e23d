"""Writes the shards of one split in WebDataset's layout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from descant.files import sync
from descant.pack.journal import Shard
from descant.pack.record import PackedSample


class ShardWriter:
    """Writes samples into ``folder/split-000000.tar`` and so on.

    Another shard is begun once one has ``shard_size`` bytes. Files are opened here and not by webdataset, which takes
    a path for a URL (``pipe:`` would run a command) and for a pattern (``%``).

    Args:
        folder: where to.
        split: the split's name.
        shard_size: bytes.
        classes: of each class label, how many classes there are.
        whole: the shards that are there already.
        on_whole: is told of each shard that is whole and on the disk.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        shard_size: int,
        classes: Mapping[str, int],
        whole: Sequence[Shard],
        on_whole: Callable[[Shard], None],
    ) -> None:
        self.shards = list(whole)
        self._folder, self._split, self._shard_size = folder, split, shard_size
        self._classes, self._on_whole = classes, on_whole
        self._file: BinaryIO | None = None
        self._tar: Any = None

    @property
    def samples(self) -> int:
        """How many there are in all shards."""
        return sum(len(shard.records) for shard in self.shards)

    def counts(self) -> dict[str, list[int]]:
        """Return how often each class of each label occurs; a label that no sample has is not in it."""
        totals = {
            name: [sum(column) for column in zip(*(shard.counts[name] for shard in self.shards), strict=True)]
            for name in self._classes
        }
        return {name: counts for name, counts in totals.items() if any(counts)}

    def add(self, number: int, key: str, sample: PackedSample) -> None:
        """Write the sample of a record; labels that are None are left out of its json."""
        if self._file is not None and self._file.tell() >= self._shard_size:
            self.close()
        if self._file is None:
            self._open()
        labels = {name: value for name, value in sample.labels.items() if value is not None}
        self._tar.write({"__key__": key, **sample.members, "json": json.dumps(labels, sort_keys=True).encode()})
        shard = self.shards[-1]
        shard.records.append(number)
        shard.seconds.append(sample.seconds)
        for name in self._classes.keys() & labels.keys():
            shard.counts[name][labels[name]] += 1

    def close(self) -> None:
        """Make the shard whole: write the end mark and wait for the disk."""
        if self._file is None:
            return
        file, self._file = self._file, None
        with file:
            self._tar.close()
            sync(file)
            self.shards[-1].size_bytes = file.tell()
        self._on_whole(self.shards[-1])

    def abandon(self) -> None:
        """Close a file that is thrown away."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError), file:  # it need not be complete, and the disk may be full
                self._tar.close()

    def _open(self) -> None:
        import webdataset

        path = self._folder / f"{self._split}-{len(self.shards):06d}.tar"
        self._file = path.open("wb")
        self._tar = webdataset.TarWriter(self._file, encoder=False, mtime=0)
        counts = {name: [0] * classes for name, classes in self._classes.items()}
        self.shards.append(Shard(path.name, self._split, counts=counts))
