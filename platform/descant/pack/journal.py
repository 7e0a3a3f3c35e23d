"""Which shards of an unfinished data set are whole, so that a pack that was killed goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from descant.errors import UserError
from descant.files import sync
from descant.locks import FileLock

FILE = "packing.jsonl"


@dataclass
class Shard:
    """A whole shard, and what is in it: the records' numbers, their seconds of audio, and the counts of classes."""

    name: str
    split: str
    size_bytes: int = 0
    records: list[int] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)
    counts: Mapping[str, list[int]] = field(default_factory=dict)


class Journal:
    """One line of JSON for what is packed, then one for each whole shard; a torn last line is as good as none.

    Raises:
        UserError: another process is writing this data set.
        OSError: the file cannot be written.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._file = open(folder / FILE, "a+b")  # noqa: SIM115 - it is held as long as the data set is written
        self._lock = FileLock(folder / FILE)
        if not self._lock.try_own():
            self.close()
            raise UserError(
                f"another process is packing into {str(folder)!r}: wait until it is done, or give another folder"
            )
        try:
            self.shards = self._go_on(folder, identity)
        except OSError:
            self.close()
            raise

    def add(self, shard: Shard) -> None:
        """Note a shard that is whole and on the disk."""
        self._write(asdict(shard))

    def close(self) -> None:
        """Let others write the data set."""
        self._lock.release()
        with suppress(OSError):  # a full disk: of what it could not write here, the writing of the line has told
            self._file.close()

    def _go_on(self, folder: Path, identity: str) -> list[Shard]:
        """Return the whole shards that an earlier process left, and bring the file in line with them."""
        self._file.seek(0)
        *lines, torn = self._file.read().split(b"\n")
        known = [json.loads(line) for line in lines]
        noted = [Shard(**line) for line in known[1:]] if known and known[0]["identity"] == identity else []
        shards = [shard for shard in noted if _size(folder / shard.name) == shard.size_bytes]
        if noted and shards == noted:
            self._file.truncate(self._file.tell() - len(torn))
            return shards
        # A shard that is gone would leave a gap in the numbers of those behind it: all are made anew.
        self._file.truncate(0)
        self._write({"identity": identity})
        return []

    def _write(self, value: object) -> None:
        self._file.write(json.dumps(value).encode() + b"\n")
        sync(self._file)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
