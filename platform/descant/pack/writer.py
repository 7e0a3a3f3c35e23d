"""Writes a data set: shards per split, their indexes and ``dataset.json``, whole or not at all.

The same samples give the same bytes: members have no time, owner or mode of their own.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from descant.data.description import FILE, Description, Field, Split, fingerprint
from descant.data.index import load_indexes
from descant.errors import RunError, UserError
from descant.pack.shards import ShardWriter

SHARD_SIZE = 256 * 2**20
SPLITS = ("train", "validation", "test")


class DataSetWriter:
    """Writes the samples of a data set in the order given.

    It writes beside ``folder`` and moves all of it there at the end; on an error nothing stays behind.

    Args:
        folder: where the data set goes; it must not hold anything yet, unless it is a data set and ``overwrite``.
        name: the data set's name.
        fields: its fields; they may still be changed before ``finish``.
        shard_size: bytes after which another shard is begun.
        overwrite: whether to replace the data set in ``folder``.

    Raises:
        UserError: ``folder`` holds something or cannot be made, or a split that is needed stays empty.
        RunError: the disk is full.
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
        if shard_size < 1:
            raise UserError(f"the shard size is {shard_size}: give bytes from 1")
        self.fields = dict(fields)
        self._given, self._folder = folder, folder.resolve()
        self._name, self._shard_size = name, shard_size
        self._check_folder(overwrite)
        self._partial = self._folder.with_name(f".{self._folder.name}.partial")
        self._old = self._folder.with_name(f".{self._folder.name}.old")
        self._writers: dict[str, ShardWriter] = {}
        self._counts: dict[str, dict[str, list[int]]] = {}

    def __enter__(self) -> DataSetWriter:
        """Make the folder beside."""
        shutil.rmtree(self._partial, ignore_errors=True)
        try:
            self._partial.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"the folder {str(self._given)!r} cannot be made: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take away what was not finished."""
        for writer in self._writers.values():
            with suppress(OSError):  # what is thrown away need not be complete
                writer.close()
        shutil.rmtree(self._partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise RunError(
                f"the disk is full ({error.strerror}) while packing into {str(self._given)!r}: make room or give "
                f"another folder; nothing half-written is left"
            ) from error

    def add(self, split: str, key: str, members: Mapping[str, bytes], labels: Mapping[str, Any]) -> None:
        """Write one sample; labels that are None are left out of its json."""
        assert split in SPLITS, split
        known = {name: value for name, value in labels.items() if value is not None}
        if split not in self._writers:
            self._writers[split] = ShardWriter(self._partial, split, self._shard_size)
        self._writers[split].add(key, {**members, "json": json.dumps(known, sort_keys=True).encode()})
        for name, value in known.items():
            classes = self.fields[name].classes
            if classes:
                counts = self._counts.setdefault(split, {}).setdefault(name, [0] * len(classes))
                counts[value] += 1

    def finish(self, provenance: Mapping[str, Any]) -> Description:
        """Index the shards, write ``dataset.json`` and move everything into place."""
        for writer in self._writers.values():
            writer.close()
        self._check_splits()
        written = {split: self._writers[split] for split in SPLITS if split in self._writers}
        indexes = {split: load_indexes(writer.shards) for split, writer in written.items()}
        splits = {
            split: Split(writer.samples, tuple(path.name for path in writer.shards), self._counts.get(split, {}))
            for split, writer in written.items()
        }
        description = Description(self._name, self.fields, splits, fingerprint(indexes), dict(provenance))
        description.write(self._partial)
        self._move()
        return description

    def _move(self) -> None:
        shutil.rmtree(self._old, ignore_errors=True)
        if self._folder.exists():
            os.replace(self._folder, self._old)
        os.replace(self._partial, self._folder)
        shutil.rmtree(self._old, ignore_errors=True)

    def _check_folder(self, overwrite: bool) -> None:
        folder = str(self._given)
        if not self._folder.exists():
            return
        if not self._folder.is_dir():
            raise UserError(f"{folder!r} is a file: give a folder that is new or empty")
        if not any(self._folder.iterdir()):
            return
        if not overwrite:
            raise UserError(f"the folder {folder!r} holds something already: give another one, or --overwrite")
        if not (self._folder / FILE).is_file():
            raise UserError(f"the folder {folder!r} holds something that is no data set, which is not overwritten")

    def _check_splits(self) -> None:
        samples = {split: writer.samples for split, writer in self._writers.items()}
        for split in ("train", "validation"):
            if not samples.get(split):
                raise UserError(
                    f"the split {split!r} would be empty: there are {sum(samples.values())} samples in all "
                    f"({samples}); check how the source splits them, or ask for a random split where there is one"
                )
        for label, counts in self._counts.get("train", {}).items():
            missing = [name for name, count in zip(self.fields[label].classes, counts, strict=True) if not count]
            if missing:
                raise UserError(
                    f"no training sample is of the {label} {', '.join(map(repr, missing))}: add some, leave the class "
                    f"out of the source, or ask for a random split where there is one"
                )
