"""Follow the rows of a run's ``metrics.jsonl`` while another process writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class RowFollower:
    """Reads the rows that are new since the last look; rows that stood there at the start are not new.

    A run that continues rewrites its file: the rows after its checkpoint go, others come. What was read once and
    still stands at the same place is then not new, everything after the first difference is.

    Args:
        path: the file of one JSON object per line; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[int] = []  # a hash of each line read, in the order of the file
        self._offset_bytes = 0
        self._last_line = b""
        self.poll()

    def poll(self) -> list[dict[str, Any]]:
        """Return the new complete rows, in their order; a line half-written is left for the next look."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, self._offset_bytes - len(self._last_line)))
                if file.read(len(self._last_line)) != self._last_line:
                    file.seek(0)
                    return self._after_rewrite(file.read())
                return self._rows(_complete_lines(file.read()))
        except FileNotFoundError:
            return []

    def _after_rewrite(self, content: bytes) -> list[dict[str, Any]]:
        lines = _complete_lines(content)
        same = 0
        while same < min(len(lines), len(self._lines)) and hash(lines[same]) == self._lines[same]:
            same += 1
        del self._lines[same:]
        self._offset_bytes = sum(map(len, lines[:same]))
        self._last_line = lines[same - 1] if same else b""
        return self._rows(lines[same:])

    def _rows(self, lines: list[bytes]) -> list[dict[str, Any]]:
        rows = []
        for line in lines:
            self._lines.append(hash(line))
            self._offset_bytes += len(line)
            self._last_line = line
            try:
                row = json.loads(line)
            except ValueError:
                continue  # torn by a writer that was killed: its run writes these rows again
            if isinstance(row, dict):
                rows.append(row)
        return rows


def _complete_lines(content: bytes) -> list[bytes]:
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
