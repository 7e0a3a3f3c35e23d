"""Files mapped into memory, whose pages all processes of a host share."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt


def map_file(descriptor: int) -> npt.NDArray[np.uint8]:
    """Return the bytes of an open file, read only; the file may be closed at once.

    Where the system cannot map them they are read.
    """
    size = os.fstat(descriptor).st_size
    try:
        return np.frombuffer(_map(descriptor, size), np.uint8)
    except (OSError, ValueError):  # an empty file, a file system without mappings, more of them than are allowed
        return np.frombuffer(os.pread(descriptor, size, 0), np.uint8)


def _map(descriptor: int, size: int) -> Any:
    if sys.version_info >= (3, 13):
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ, trackfd=False)
    if os.name != "posix":
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    # Before Python 3.13 mmap keeps a file open for each mapping: with 1,000 shards there would be none left to open.
    if size < 1:
        raise ValueError("an empty file cannot be mapped")
    library = _library()
    address = library.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    content = (ctypes.c_ubyte * size).from_address(address)
    weakref.finalize(content, library.munmap, address, size).atexit = False
    return memoryview(content).cast("B").toreadonly()


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    number, size = ctypes.c_int, ctypes.c_size_t
    library.mmap.argtypes = (ctypes.c_void_p, size, number, number, number, ctypes.c_long)
    library.mmap.restype = ctypes.c_void_p
    library.munmap.argtypes = (ctypes.c_void_p, size)
    return library
