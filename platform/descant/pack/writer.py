"""Writes a data set: shards per split, their indexes and ``dataset.json``, whole or not at all.

The same samples give the same bytes: members have no time, owner or mode of their own.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from descant.data.description import Description, Field, Split, fingerprint
from descant.data.index import load_indexes
from descant.errors import UserError

SHARD_SIZE = 256 * 2**20
_SPLITS = ("train", "validation", "test")


class DataSetWriter:
    """Writes the samples of a data set in the order given.

    It writes beside ``folder`` and moves all of it there at the end; on an error nothing stays behind.

    Args:
        folder: where the data set goes; it must not hold anything yet, unless ``overwrite``.
        name: the data set's name.
        fields: its fields.
        shard_size: bytes after which another shard is begun.
        overwrite: whether to replace what is in ``folder``.

    Raises:
        UserError: ``folder`` holds something, or a split that is needed stays empty.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        fields: Mapping[str, Field],
        *,
        shard_size: int = SHARD_SIZE,
        overwrite: bool = False,
    ) -> None:
        if folder.exists() and any(folder.iterdir()) and not overwrite:
            raise UserError(f"the folder {str(folder)!r} holds something already: give another one, or --overwrite")
        self._folder, self._name, self._fields, self._shard_size = folder, name, dict(fields), shard_size
        self._partial = folder.with_name(f".{folder.name}.partial")
        self._writers: dict[str, Any] = {}
        self._counts: dict[str, dict[str, list[int]]] = {}
        self._samples: dict[str, int] = {}

    def __enter__(self) -> DataSetWriter:
        """Make the folder beside."""
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take away what was not finished."""
        for writer in self._writers.values():
            writer.close()
        shutil.rmtree(self._partial, ignore_errors=True)

    def add(self, split: str, key: str, members: Mapping[str, bytes], labels: Mapping[str, Any]) -> None:
        """Write one sample; labels that are None are left out of its json."""
        known = {name: value for name, value in labels.items() if value is not None}
        self._writer(split).write({"__key__": key, **members, "json": json.dumps(known, sort_keys=True).encode()})
        self._samples[split] = self._samples.get(split, 0) + 1
        for name, value in known.items():
            classes = self._fields[name].classes
            if classes:
                counts = self._counts.setdefault(split, {}).setdefault(name, [0] * len(classes))
                counts[value] += 1

    def finish(self, provenance: Mapping[str, Any]) -> Description:
        """Index the shards, write ``dataset.json`` and move everything into place."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        self._check()
        splits = [split for split in _SPLITS if split in self._samples]
        shards = {split: sorted(self._partial.glob(f"{split}-*.tar")) for split in splits}
        indexes = {split: load_indexes(paths) for split, paths in shards.items()}
        description = Description(
            self._name,
            self._fields,
            {
                split: Split(
                    self._samples[split], tuple(path.name for path in shards[split]), self._counts.get(split, {})
                )
                for split in splits
            },
            fingerprint(indexes),
            dict(provenance),
        )
        description.write(self._partial)
        if self._folder.exists():
            shutil.rmtree(self._folder)
        os.replace(self._partial, self._folder)
        return description

    def _writer(self, split: str) -> Any:
        if split not in self._writers:
            import webdataset

            self._writers[split] = webdataset.ShardWriter(
                str(self._partial / f"{split}-%06d.tar"), maxsize=self._shard_size, maxcount=10**9, verbose=0, mtime=0
            )
        return self._writers[split]

    def _check(self) -> None:
        for split in ("train", "validation"):
            if not self._samples.get(split):
                raise UserError(
                    f"the split {split!r} would be empty: there are {sum(self._samples.values())} samples in all "
                    f"({dict(self._samples)}); check the source's split column, or use --split random"
                )
        for label, counts in self._counts.get("train", {}).items():
            missing = [name for name, count in zip(self._fields[label].classes, counts, strict=True) if not count]
            if missing:
                raise UserError(
                    f"no training sample is of the {label} {', '.join(map(repr, missing))}: add some, leave the class "
                    f"out of the source, or use --split random"
                )
