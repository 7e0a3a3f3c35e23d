"""Files of a raw corpus, in a folder or within a tar that is not unpacked."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from descant.errors import UserError


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file, or ``size`` bytes of a tar from byte ``offset``."""

    path: Path
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """Return the file's bytes; a ValueError says in plain words why there are none."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                content = file.read(-1 if self.size is None else self.size)
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from error
        if self.size is not None and len(content) != self.size:
            raise ValueError(f"the tar has {len(content)} of the file's {self.size} bytes")
        return content

    def part(self, start: int, size: int) -> StoredFile:
        """Return ``size`` bytes of this file from byte ``start``."""
        return StoredFile(self.path, self.offset + start, size)

    def length(self) -> int:
        """Return how many bytes the file has."""
        return self.path.stat().st_size if self.size is None else self.size


def open_files(source: Path, scratch: Path) -> Mapping[str, StoredFile]:
    """Return the files under a folder, or in a tar or tar.gz, by relative path with ``/``, in alphabetical order.

    A gzipped tar cannot be read from its middle: it is unzipped into ``scratch``.

    Raises:
        UserError: ``source`` is none of them.
    """
    if not source.exists():
        raise UserError(f"there is no {str(source)!r}: give a folder, a tar or a tar.gz")
    if source.is_dir():
        files = _in_folder(source)
    elif is_gzipped(source):
        files = _in_tar(unzipped(StoredFile(source), str(source), scratch / "unzipped.tar"), source)
    else:
        files = _in_tar(source, source)
    return dict(sorted(files.items()))


def is_gzipped(path: Path) -> bool:
    """Say whether a file begins as gzip does."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def unzipped(file: StoredFile, name: str, target: Path) -> Path:
    """Unzip a gzip file that errors call ``name`` into ``target``, which keeps its time of change, and return that.

    Raises:
        UserError: it is damaged, or there is no room for what is in it.
    """
    try:
        with gzip.open(file.path if file.size is None else io.BytesIO(file.read())) as packed, target.open("wb") as out:
            shutil.copyfileobj(packed, out, 2**20)
        shutil.copystat(file.path, target)
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise UserError(f"{name!r} does not unzip: {error}") from error
    except OSError as error:
        raise UserError(
            f"{name!r} cannot be unzipped into {str(target.parent)!r}: {error.strerror}; "
            f"set TMPDIR to a folder with room for it, or unzip it yourself"
        ) from error
    return target


def _in_folder(folder: Path) -> dict[str, StoredFile]:
    found: dict[str, StoredFile] = {}
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        places = {name: os.path.realpath(os.path.join(parent, name)) for name in folders}
        folders[:] = [name for name in folders if places[name] not in seen]
        seen.update(places.values())  # links may go in circles
        for name in names:
            path = os.path.join(parent, name)
            found[os.path.relpath(path, folder).replace(os.sep, "/")] = StoredFile(Path(path))
    return found


def _in_tar(path: Path, source: Path) -> dict[str, StoredFile]:
    try:
        with tarfile.open(path, "r:") as tar:
            return {
                member.name.removeprefix("./"): StoredFile(path, member.offset_data, member.size)
                for member in tar
                if member.isfile() and not member.issparse()
            }
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"{str(source)!r} is not a folder, nor a whole tar or tar.gz: {error}") from error
