"""Writes a data set: shards per split, their indexes and ``dataset.json``, whole or not at all.

The same samples give the same bytes: members have no time, owner or mode of their own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from descant.data.description import Description, Field, Split, fingerprint
from descant.data.index import load_indexes
from descant.errors import Interrupted, RunError, UserError
from descant.files import is_full
from descant.pack import journal
from descant.pack.journal import Journal
from descant.pack.record import PackedSample
from descant.pack.shards import ShardWriter
from descant.pack.splits import SPLITS
from descant.pack.workplace import Workplace

logger = logging.getLogger("descant")

SHARD_SIZE = 256 * 2**20


class DataSetWriter:
    """Writes the samples of a data set in the order of its records.

    It writes beside ``folder`` and moves all of it there at the end. A process that is killed or interrupted leaves
    its whole shards there, hidden; the next writer of the same ``identity`` goes on from them: ``done`` are the
    numbers of the records that they hold. On any other error nothing stays behind.

    Args:
        folder: where the data set goes; it must not hold anything yet, unless it is a data set and ``overwrite``.
        name: the data set's name.
        fields: its fields.
        shard_size: bytes after which another shard is begun.
        overwrite: whether to replace the data set in ``folder``.
        identity: what decides every byte of the data set.

    Raises:
        UserError: ``folder`` holds something or cannot be made, or a split that is needed stays empty.
        RunError: the disk is full.
        Interrupted: by Ctrl-C, with whole shards to go on from.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        fields: Mapping[str, Field],
        *,
        shard_size: int = SHARD_SIZE,
        overwrite: bool = False,
        identity: str = "",
    ) -> None:
        if shard_size < 1:
            raise UserError(f"the shard size is {shard_size}: give bytes from 1")
        self.done: set[int] = set()
        self._given, self._name, self._fields = folder, name, dict(fields)
        self._shard_size, self._identity = shard_size, identity
        self._place = Workplace(folder, overwrite)

    def __enter__(self) -> DataSetWriter:
        """Make the folder beside, or go on with what is in it."""
        self._place.make()
        try:
            self._journal = Journal(self._place.path, self._identity)
        except OSError as error:
            if not is_full(error):
                raise UserError(f"nothing can be written into {str(self._given)!r}: {error.strerror}") from error
            self._place.remove()
            raise self._full() from error
        whole = self._journal.shards
        self._place.keep_only({journal.FILE, *(shard.name for shard in whole)})
        self.done = {number for shard in whole for number in shard.records}
        classes = {name: len(field.classes) for name, field in self._fields.items() if field.classes}
        self._splits = {
            split: ShardWriter(
                self._place.path,
                split,
                self._shard_size,
                classes,
                [shard for shard in whole if shard.split == split],
                self._journal.add,
            )
            for split in SPLITS
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take away what was not finished; a process that was interrupted or killed may leave its whole shards."""
        for writer in self._splits.values():
            writer.abandon()
        samples = sum(len(shard.records) for shard in self._whole())
        if samples and isinstance(error, KeyboardInterrupt | RunError):
            self._place.keep_only({journal.FILE, *(shard.name for shard in self._whole())})
            self._journal.close()
            more = f"{samples} samples are in whole shards: the same command goes on from there"
            raise Interrupted(f"interrupted; {more}") if kind is KeyboardInterrupt else RunError(f"{error}; {more}")
        self._place.remove()
        self._journal.close()
        if is_full(error):
            raise self._full() from error

    def add(self, number: int, split: str, key: str, sample: PackedSample) -> None:
        """Write the sample of the record with this number."""
        self._splits[split].add(number, key, sample)

    def seconds(self) -> dict[int, float]:
        """Return the length of each record's audio, where it has some, in the order of the records."""
        lengths = {
            number: length
            for writer in self._splits.values()
            for shard in writer.shards
            for number, length in zip(shard.records, shard.seconds, strict=True)
            if length is not None
        }
        return dict(sorted(lengths.items()))

    def finish(self, fields: Mapping[str, Field], provenance: Mapping[str, Any]) -> Description:
        """Index the shards, write ``dataset.json`` with these fields and move everything into place."""
        self._check_splits()
        for writer in self._splits.values():
            writer.close()
        written = {split: writer for split, writer in self._splits.items() if writer.shards}
        paths = {split: [self._place.path / shard.name for shard in writer.shards] for split, writer in written.items()}
        indexes = {split: load_indexes(shards) for split, shards in paths.items()}
        splits = {
            split: Split(writer.samples, tuple(path.name for path in paths[split]), writer.counts())
            for split, writer in written.items()
        }
        description = Description(self._name, dict(fields), splits, fingerprint(indexes), dict(provenance))
        description.write(self._place.path)
        os.unlink(self._place.path / journal.FILE)
        self._place.land()
        return description

    def _full(self) -> RunError:
        return RunError(
            f"the disk is full while packing into {str(self._given)!r}: make room or give another folder; "
            f"nothing half-written is left"
        )

    def _whole(self) -> list[journal.Shard]:
        return [shard for writer in self._splits.values() for shard in writer.shards if shard.size_bytes]

    def _check_splits(self) -> None:
        samples = {split: writer.samples for split, writer in self._splits.items()}
        for split in ("train", "validation"):
            if not samples[split]:
                there = ", ".join(f"{count} {name}" for name, count in samples.items())
                raise UserError(
                    f"the split {split!r} would be empty: there are {sum(samples.values())} samples in all ({there}); "
                    f"check how the source splits them, or ask for a random split where there is one"
                )
        self._check_classes()

    def _check_classes(self) -> None:
        """Refuse classes that nothing teaches; beside a label that has all of its classes they are only named."""
        missing: dict[str, str] = {}
        for label, counts in self._splits["train"].counts().items():
            names = [name for name, count in zip(self._fields[label].classes, counts, strict=True) if not count]
            if names:
                missing[label] = f"no training sample is of the {label} {', '.join(map(repr, names))}"
        if missing and len(missing) == sum(bool(field.classes) for field in self._fields.values()):
            raise UserError(
                f"{next(iter(missing.values()))}: add some, leave the class out of the source, or ask for a random "
                f"split where there is one"
            )
        for says in missing.values():
            logger.warning("%s: a task that learns it will not know this class", says)
