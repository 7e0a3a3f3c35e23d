"""The newest numbers of a run, read from the end of its ``metrics.jsonl``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_AGAIN_BYTES = 1 << 16  # before what is new: rows of one evaluation may come in two pieces
_OF_THE_RUN = {"steps": "steps", "throughput_samples_s": "samples_s", "data_wait_share": "wait_share"}


class LatestNumbers:
    """Finds the newest of each number; what was read once is not read again.

    Args:
        path: of the rows; it need not exist yet.
        main: the main task.
    """

    def __init__(self, path: Path, main: str | None) -> None:
        self._path, self.main = path, main
        self._inode, self._read_bytes = 0, 0
        self.numbers: dict[str, Any] = {}

    def look(self) -> dict[str, Any]:
        """Return ``epoch``, ``step``, ``steps``, ``samples_s``, ``wait_share``, ``loss``, ``metric``, ``value``.

        Those that the run has not written yet are left out.
        """
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                is_same = status.st_ino == self._inode and status.st_size >= self._read_bytes
                start = max(0, self._read_bytes - _AGAIN_BYTES) if is_same else 0
                found = _Newest(self.main).take_from(lines_backwards(file.fileno(), status.st_size, start))
        except FileNotFoundError:
            return self.numbers
        self._inode, self._read_bytes = status.st_ino, status.st_size
        self.numbers = {**(self.numbers if is_same else {}), **found}
        return self.numbers


class _Newest:
    """Takes lines, the last one first, until nothing more is wanted."""

    def __init__(self, main: str | None) -> None:
        self.found: dict[str, Any] = {}
        self._main = main
        self._evaluated: list[tuple[str, float | None]] = []
        self._wanted = {"split", "train", "validation", *_OF_THE_RUN}  # one word of the lines that tell it
        self._search = self._made_search()

    def take_from(self, lines: Iterator[bytes]) -> dict[str, Any]:
        for line in lines:
            if self._search(line) is None:
                continue  # most lines need not be parsed
            row = _row(line)
            if row is not None and row["split"] != "test":  # that is of the best epoch, which is not the latest
                self._take(row)
            if not self._wanted:
                break
        return self.found

    def _take(self, row: Mapping[str, Any]) -> None:
        task, split, metric, value = (row[key] for key in ("task", "split", "metric", "value"))
        if "split" in self._wanted:
            self._note("split", epoch=row["epoch"], step=row["step"])
        if task is None and metric in self._wanted:
            self._note(metric, **{_OF_THE_RUN[metric]: int(value) if metric == "steps" else value})
        if task != self._main or split not in self._wanted:
            return
        if split == "train" and metric == "loss":
            self._note(split, loss=value)
        elif split == "validation":
            self._evaluated.append((metric, value))
            if metric == "loss":  # the first row of an evaluation; the second is the first metric
                name, number = self._evaluated[-2:][0]
                self._note(split, metric=name, value=number)

    def _note(self, word: str, **numbers: Any) -> None:
        self.found |= numbers
        self._wanted.remove(word)
        self._search = self._made_search()

    def _made_search(self) -> Callable[[bytes], object]:
        return re.compile("|".join(f'"{word}"' for word in self._wanted).encode()).search


def lines_backwards(descriptor: int, end: int, start: int = 0, block_bytes: int = 1 << 16) -> Iterator[bytes]:
    """Yield the complete lines between two bytes of a file, the last one first.

    Args:
        descriptor: of the open file.
        end: what lies behind it is not read; a line without its end is left out.
        start: a line that begins before it is left out too, and the one that begins right there.
        block_bytes: how much is read at a time.
    """
    rest, is_whole = b"", False
    while end > start:
        size = min(block_bytes, end - start)
        end -= size
        rest, *lines = (os.pread(descriptor, size, end) + rest).split(b"\n")
        if lines and not is_whole:
            is_whole = True
            lines.pop()  # behind the last end of a line
        yield from reversed(lines)
    if is_whole and start == 0:
        yield rest


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None  # torn by a writer that was killed
    return row if isinstance(row, dict) else None
