"""Writes the shards of one split in WebDataset's layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO


class ShardWriter:
    """Writes samples into ``folder/split-000000.tar`` and so on.

    Another shard is begun once one has ``shard_size`` bytes. Files are opened here and not by webdataset, which takes
    a path for a URL (``pipe:`` would run a command) and for a pattern (``%``).
    """

    def __init__(self, folder: Path, split: str, shard_size: int) -> None:
        self.shards: list[Path] = []
        self.samples = 0
        self._folder, self._split, self._shard_size = folder, split, shard_size
        self._file: BinaryIO | None = None
        self._tar: Any = None

    def add(self, key: str, members: Mapping[str, bytes]) -> None:
        """Write one sample: extension → bytes."""
        if self._file is not None and self._file.tell() >= self._shard_size:
            self.close()
        if self._file is None:
            self._open()
        self._tar.write({"__key__": key, **members})
        self.samples += 1

    def close(self) -> None:
        """Write the end mark; the file is closed even where that fails."""
        file, self._file = self._file, None
        if file is not None:
            with file:
                self._tar.close()

    def _open(self) -> None:
        import webdataset

        path = self._folder / f"{self._split}-{len(self.shards):06d}.tar"
        self._file = path.open("wb")
        self._tar = webdataset.TarWriter(self._file, encoder=False, mtime=0)
        self.shards.append(path)
