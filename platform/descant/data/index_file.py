"""The file of an index: an ``npz`` of arrays that are not compressed, so that they can be mapped where they lie.

Nothing in it is ever unpickled. ``numpy.load`` reads it too.
"""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from descant.data.mapping import map_file
from descant.data.stamp import Stamp
from descant.data.table import IntArray, Keys, ShardIndex, ShardProblem, fingerprint
from descant.errors import RunError
from descant.files import whole_file

FORMAT = 2
_ALIGNMENT = 64
_LOCAL_HEADER = 30  # bytes of a zip's header of one file, before its name
_TYPES = ("|u1", "<i4", "<i8")
_DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, NotImplementedError, RecursionError, TypeError, ValueError,
    struct.error, zipfile.BadZipFile,
)  # fmt: skip
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # when an array was written means nothing; the stamp has the times that count


@dataclass(frozen=True)
class Kept:
    """An index as it was kept, and what its shard was like then."""

    index: ShardIndex
    stamp: Stamp
    probe: str


def write(kept: Kept, file: Path) -> None:
    """Write an index, whole or not at all."""
    index = kept.index
    shape = (len(index.offsets), len(index))
    arrays: dict[str, npt.NDArray[Any]] = {
        "key_text": index.keys.text,
        "key_ends": index.keys.ends,
        "offsets": _stack(index.offsets.values()).reshape(shape),
        "sizes": _stack(index.sizes.values()).reshape(shape),
    }
    arrays = {name: _portable(array) for name, array in arrays.items()}
    meta = {
        "format": FORMAT, "size_bytes": index.size_bytes, "content": index.content, "fingerprint": index.fingerprint,
        "extensions": list(index.offsets), "problems": [asdict(problem) for problem in index.problems],
        "arrays": {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()},
        "stamp": kept.stamp, "probe": kept.probe,
    }  # fmt: skip
    arrays = {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays}
    with whole_file(file) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", _NO_TIME)
            # An extra field of no meaning moves the array to where numbers are read fastest.
            start = stream.tell() + _LOCAL_HEADER + len(info.filename) + 4
            info.extra = b"\x35\xd9" + (-start % _ALIGNMENT).to_bytes(2, "little") + bytes(-start % _ALIGNMENT)
            archive.writestr(info, _npy(array))


def read(file: Path, path: Path) -> Kept:
    """Read the index of the shard at ``path``.

    Raises:
        OSError: there is none.
        ValueError: it is damaged.
    """
    with open(file, "rb") as stream:
        try:
            parts = _parts(stream, map_file(stream.fileno()))
            meta = json.loads(_array(parts["meta"], "|u1", None).tobytes())
            if meta["format"] != FORMAT:
                raise ValueError(f"it has the format {meta['format']}, known is {FORMAT}")
            arrays = {name: _array(parts[name], *layout) for name, layout in meta["arrays"].items()}
            index = _index(file, path, meta, arrays)
            return Kept(index, Stamp(*meta["stamp"][:3]), str(meta["probe"]))
        except _DAMAGE as error:
            raise ValueError(f"the index of {path.name} is damaged: {error}") from error


def _index(file: Path, path: Path, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> ShardIndex:
    """Return the index that stands in a file, if it can be that of a shard of this size."""
    size_bytes, extensions = int(meta["size_bytes"]), [str(extension) for extension in meta["extensions"]]
    text, ends, offsets, sizes = (arrays[name] for name in ("key_text", "key_ends", "offsets", "sizes"))
    if offsets.shape != (len(extensions), len(ends)) or sizes.shape != offsets.shape:
        raise ValueError("its table does not fit its keys")
    bounds = np.concatenate(([0], ends[:1], ends[-1:], [len(text)]))
    if (np.diff(bounds) < 0).any() or (np.diff(ends) < 0).any() or (len(ends) and ends[-1] != len(text)):
        raise ValueError("its keys do not fit their text")
    if offsets.size and (offsets.min() < -1 or sizes.min() < -1 or _leads_out(offsets, sizes, size_bytes)):
        raise ValueError("its table does not fit the shard")
    keys = Keys(np.asarray(text, np.uint8), ends)
    columns = dict(zip(extensions, offsets, strict=True)), dict(zip(extensions, sizes, strict=True))
    mark = fingerprint(size_bytes, meta["content"], keys, columns[0])
    if mark != meta["fingerprint"]:
        raise ValueError("its fingerprint does not fit")
    problems = [ShardProblem(**problem) for problem in meta["problems"]]
    reopen = (_reopen, (file, path, mark))
    return ShardIndex(path, size_bytes, meta["content"], keys, *columns, problems, mark, reopen)


def _leads_out(offsets: IntArray, sizes: IntArray, size_bytes: int) -> bool:
    """Whether a member ends behind the shard; OverflowError for a shard of 2⁶³ bytes."""
    # Offsets that fit 4 bytes may be those of a shard whose size does not.
    room = np.subtract(np.int64(size_bytes), offsets, dtype=np.int64)
    return bool((sizes > room).any())


def _reopen(file: Path, path: Path, mark: str) -> ShardIndex:
    """Map an index in another process than the one that found it."""
    try:
        index = read(file, path).index
    except (OSError, ValueError) as error:
        raise RunError(f"the index {str(file)!r} has gone during the run: run the same command again") from error
    if index.fingerprint != mark:
        raise RunError(f"the index {str(file)!r} has become another during the run: run the same command again")
    return index


def _parts(stream: io.BufferedReader, content: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.uint8]]:
    """Return the mapped bytes of each npy in the archive, if they are what was written."""
    parts = {}
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its arrays are compressed")
            header = content[info.header_offset :][:_LOCAL_HEADER].tobytes()
            lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            start = info.header_offset + _LOCAL_HEADER + lengths
            part = content[start : start + info.file_size]
            if zlib.crc32(part.data) != info.CRC:
                raise ValueError(f"the check sum of {info.filename} is wrong")
            parts[info.filename.removesuffix(".npy")] = part
    return parts


def _array(part: npt.NDArray[np.uint8], type_name: str, shape: list[int] | None) -> npt.NDArray[Any]:
    """Return the numbers behind the header of an npy of version 1; without a shape, all of them."""
    if type_name not in _TYPES:
        raise ValueError(f"it holds numbers of the type {type_name!r}")
    data = part[10 + int(part[8]) + 256 * int(part[9]) :].view(type_name)
    if shape is not None and math.prod(shape) != len(data):
        raise ValueError(f"it lacks numbers: {len(data)} are there")
    return data if shape is None else data.reshape(shape)


def _stack(columns: Collection[IntArray]) -> npt.NDArray[Any]:
    """Return the columns in one array, of whole numbers also where there is none."""
    return np.array(list(columns), dtype=np.result_type(np.int32, *columns))


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), (1, 0), allow_pickle=False)
    return buffer.getvalue()


def _portable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)
