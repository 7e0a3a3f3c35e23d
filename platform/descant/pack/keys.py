"""Keys of samples from the paths of their files."""

from __future__ import annotations

import re

_META = re.compile("^__")  # webdataset takes members whose path starts so for data about the shard, and skips them


def key_of(path: str) -> str:
    """Return a relative path without its extension as a key, within which no dot may stand in the base name."""
    folder, slash, base = path.rpartition("/")
    stem = base.rpartition(".")[0] or base
    key = (folder + slash + stem.replace(".", "_")).encode("utf-8", "backslashreplace").decode()
    return _META.sub("_", key)


class KeyMaker:
    """Hands out each key once: the second of a name ends in ``-2``, and so on."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}

    def unused(self, key: str) -> str:
        """Return the key, with a number where another sample has it."""
        free = key
        while free in self._used:
            self._counts[key] = self._counts.get(key, 1) + 1
            free = f"{key}-{self._counts[key]}"
        self._used.add(free)
        return free
