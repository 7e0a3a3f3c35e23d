"""The file of an index: shards of more than 2 GiB, and files that are none any more."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descant.data.index import index_path, load_index, write_index
from descant.data.index_file import read
from descant.data.table import Keys, ShardIndex, fingerprint, narrow
from tars import content, flat, samples_of, write_tar

MIB = 1 << 20


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = write_tar(tmp_path / "train-000000.tar", flat(samples_of(6)))
    load_index(path)
    return path


def index_of(path: Path, offsets: list[int], size: int, size_bytes: int) -> ShardIndex:
    """The index of a shard of many members of one size, made by hand: to walk gigabytes takes long."""
    keys, columns = Keys.of([b"%d" % n for n in range(len(offsets))]), {"npy": narrow(np.asarray(offsets))}
    sizes = {"npy": narrow(np.full(len(offsets), size))}
    return ShardIndex(path, size_bytes, "c", keys, columns, sizes, [], fingerprint(size_bytes, "c", keys, columns))


@pytest.mark.parametrize(
    "offsets",
    [
        pytest.param([512, 1000 * MIB + 1024, 2000 * MIB + 1536], id="offsets fit 4 bytes, the size does not"),
        pytest.param([512, 1000 * MIB, 2**31 - 512], id="the last offset that fits"),
        pytest.param([512, 1000 * MIB, 2**31], id="the first that does not"),
        pytest.param([512, 5000 * MIB], id="more than 4 GiB"),
    ],
)
def test_a_shard_of_more_than_two_gigabytes_has_an_index(tmp_path: Path, offsets: list[int]) -> None:
    path, size = tmp_path / "train-000000.tar", 300 * MIB
    index = index_of(path, offsets, size, offsets[-1] + size + 1024)
    with path.open("wb") as file:  # with a hole, it takes no room on the disk
        file.truncate(index.size_bytes)
    write_index(index)
    again = load_index(path)
    assert again.fingerprint == index.fingerprint
    assert again.offsets["npy"].tolist() == offsets and again.sizes["npy"].tolist() == [size] * len(offsets)
    assert again.offsets["npy"].dtype == (np.int32 if offsets[-1] < 2**31 else np.int64)
    write_index(index_of(path, offsets, size + 1025, index.size_bytes))
    with pytest.raises(ValueError, match="does not fit the shard"):
        read(index_path(path), path)


@pytest.mark.parametrize(
    "change",
    [
        {"size_bytes": float("inf")},
        {"size_bytes": 2**63},
        {"size_bytes": 2**64},
        {"stamp": [1]},
        {"stamp": 3},
        {"extensions": 4},
        {"arrays": {"key_text": ["<i4", [10**30]]}},
        {"problems": [{"shard": 1}]},
        {"format": 1},
    ],
    ids=str,
)
def test_an_index_that_says_nonsense_is_built_again(shard: Path, change: dict[str, Any]) -> None:
    with zipfile.ZipFile(index_path(shard)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    start = parts["meta.npy"].index(b"{", 80)
    meta = json.loads(parts["meta.npy"][start:]) | change
    with zipfile.ZipFile(index_path(shard), "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part[:start] + json.dumps(meta).encode() if name == "meta.npy" else part)
    with pytest.raises(ValueError, match="is damaged"):
        read(index_path(shard), shard)
    assert content(load_index(shard)) == samples_of(6)


def test_an_index_of_which_any_byte_has_changed_is_built_again(shard: Path) -> None:
    raw = index_path(shard).read_bytes()
    fell = 0
    for place in range(raw.index(b"PK\x01\x02"), len(raw)):  # the list of the arrays has no check sum
        for value in (0, 0x63, 0xFF):
            index_path(shard).write_bytes(raw[:place] + bytes([value]) + raw[place + 1 :])
            try:
                assert content(read(index_path(shard), shard).index) == samples_of(6)
            except ValueError:
                fell += 1
    assert fell > 100
    assert content(load_index(shard)) == samples_of(6)
