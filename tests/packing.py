"""Reading packed shards as others do, with stock webdataset; and disks on which there is no room."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webdataset.tariterators import group_by_keys, tar_file_expander


def stock_samples(folder: Path, split: str = "*") -> dict[str, dict[str, bytes]]:
    """Return the samples of a split, or of all, by key, as webdataset takes tars apart."""

    def streams() -> Iterator[dict[str, object]]:
        for path in sorted(folder.glob(f"{split}-*.tar")):
            with path.open("rb") as stream:  # webdataset itself leaves files open, which is an error under pytest
                yield {"url": str(path), "stream": stream}

    return {sample["__key__"]: sample for sample in group_by_keys(tar_file_expander(streams()))}


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size_bytes``, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
