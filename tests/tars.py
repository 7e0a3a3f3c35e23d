"""Small tars, and what an index finds in them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from descant.data.index import ShardIndex

BLOCK = 512
Members = dict[str, bytes]


def content(index: ShardIndex) -> dict[str, Members]:
    """Every sample's members, read from the tar at the places that the index names."""
    raw = index.path.read_bytes()
    return {
        key: {
            extension: raw[offsets[row] : offsets[row] + index.sizes[extension][row]]
            for extension, offsets in index.offsets.items()
            if offsets[row] >= 0
        }
        for row, key in enumerate(index.keys)
    }


def samples_of(count: int) -> dict[str, Members]:
    return {f"s{n:03d}": {"cls": str(n).encode(), "txt": bytes([65 + n]) * (700 * n)} for n in range(count)}


def write_tar(path: Path, members: list[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def flat(samples: dict[str, Members]) -> list[tuple[str, bytes]]:
    return [(f"{key}.{ext}", data) for key, members in samples.items() for ext, data in members.items()]
