"""An index is kept, found again, shared, and built anew exactly when its shard is another."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from descant.data.index import (
    build_index,
    cached_index_path,
    index_path,
    load_index,
    load_indexes,
    write_index,
)
from descant.data.index_file import read
from descant.data.samples import collect_samples
from descant.data.stamp import WHOLE_BYTES
from descant.errors import RunError
from tars import content, flat, samples_of, write_tar


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, for indexes that cannot be kept beside their shards."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DESCANT_CACHE", str(folder))
    return folder


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return write_tar(tmp_path / "train-000000.tar", flat(samples_of(6)))


def test_an_index_comes_back_as_it_was_written(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-9000])
    index = build_index(shard)
    write_index(index)
    again = load_index(shard)
    assert content(again) == content(index)
    assert (again.fingerprint, again.problems) == (index.fingerprint, index.problems)
    assert again.keys[-1] == index.keys[-1] and again.keys[1:3] == ["s001", "s002"]
    assert sorted(os.listdir(shard.parent)) == [shard.name, index_path(shard).name]


def test_the_fingerprint_depends_on_the_samples_alone(tmp_path: Path, shard: Path) -> None:
    (tmp_path / "else").mkdir()
    moved = Path(shutil.copy(shard, tmp_path / "else" / "other.tar"))
    os.utime(moved, (1, 1))
    other = write_tar(tmp_path / "b.tar", flat({**samples_of(6), "s005": {"cls": b"5", "txt": b"!" * 3499}}))
    assert build_index(moved).fingerprint == build_index(shard).fingerprint
    assert build_index(other).fingerprint != build_index(shard).fingerprint


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _other_shape(path: Path) -> None:
    with np.load(path) as arrays:
        changed = {**arrays, "sizes": arrays["sizes"][:, 1:]}
    np.savez(path, **changed)


@pytest.mark.parametrize("harm", [_truncate, _other_shape, lambda path: path.write_bytes(b"")])
def test_a_damaged_index_is_built_again(shard: Path, harm: Callable[[Path], object]) -> None:
    load_index(shard)
    harm(index_path(shard))
    with pytest.raises(ValueError, match="is damaged"):
        read(index_path(shard), shard)
    assert content(load_index(shard)) == samples_of(6)
    assert content(read(index_path(shard), shard).index) == samples_of(6)


def test_a_changed_shard_is_indexed_again(shard: Path) -> None:
    load_index(shard)
    write_tar(shard, flat(samples_of(3)))
    assert content(load_index(shard)) == samples_of(3)


def test_an_index_that_cannot_be_kept_stays_in_memory(shard: Path, cache: Path) -> None:
    index_path(shard).mkdir()
    (cache / "indexes").write_bytes(b"a file where the folder would be")
    assert content(load_index(shard)) == samples_of(6)
    assert not list(shard.parent.glob("*.tmp")) and not list(shard.parent.glob(".*.tmp"))


def walks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the shards that are walked from now on."""
    seen: list[int] = []

    def watched(descriptor: int, size_bytes: int) -> object:
        seen.append(size_bytes)
        return collect_samples(descriptor, size_bytes)

    monkeypatch.setattr("descant.data.table.collect_samples", watched)
    return seen


def test_an_index_that_cannot_be_kept_beside_its_shard_is_cached(
    shard: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_path(shard).mkdir()  # takes no file, as a folder that cannot be written to
    load_index(shard)
    assert cached_index_path(shard).is_relative_to(cache)
    walked = walks(monkeypatch)
    assert content(load_index(shard)) == samples_of(6)
    assert walked == []


def test_copies_of_a_shard_are_not_walked_again(tmp_path: Path, shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_index(shard)
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in (shard, index_path(shard)):
        shutil.copy2(path, folder / path.name)
    copy = folder / shard.name
    monkeypatch.setattr("descant.data.stamp._FRESH_NS", 0)  # so that the copy's times are noted at once
    walked = walks(monkeypatch)
    assert content(load_index(copy)) == samples_of(6)
    assert walked == []
    noted = index_path(copy).read_bytes()
    load_index(copy)
    assert index_path(copy).read_bytes() == noted != index_path(shard).read_bytes()


@pytest.mark.parametrize("size", [700, WHOLE_BYTES])
@pytest.mark.parametrize("replaced", [True, False])
def test_another_shard_of_equal_sizes_is_noticed(tmp_path: Path, size: int, replaced: bool) -> None:
    """The same table, the same times: only the bytes differ, in every array, as those of other mels do."""
    path, rng = tmp_path / "a.tar", np.random.default_rng(0)
    indexes, status = [], None
    for _ in range(2):
        if replaced:
            path.unlink(missing_ok=True)
        write_tar(path, [(f"{n}.npy", rng.bytes(size)) for n in range(4)])
        if status is not None:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        status = os.stat(path)
        indexes.append(load_index(path))
    first, second = indexes
    assert all((first.offsets["npy"] == second.offsets["npy"]).tolist())
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize("moved", [True, False])
def test_a_byte_changed_is_noticed(tmp_path: Path, moved: bool) -> None:
    """The sizes are the same and the byte is none of those that are compared: in place, or in a file moved over."""
    path = write_tar(tmp_path / "a.tar", [(f"{n}.npy", bytes(WHOLE_BYTES)) for n in range(4)])
    first, status = load_index(path).fingerprint, os.stat(path)
    written = Path(shutil.copyfile(path, tmp_path / "b")) if moved else path
    with written.open("r+b") as file:
        file.seek(2 * WHOLE_BYTES + 12_345)
        file.write(b"x")
    os.utime(written, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    written.replace(path)
    assert load_index(path).fingerprint != first


def test_an_index_of_another_shard_is_not_believed(tmp_path: Path, shard: Path) -> None:
    other = write_tar(tmp_path / "b.tar", flat({key[::-1]: value for key, value in samples_of(6).items()}))
    assert other.stat().st_size == shard.stat().st_size
    load_index(other)
    shutil.copy(index_path(other), index_path(shard))
    assert content(load_index(shard)) == samples_of(6)


def test_processes_share_an_index_and_do_not_copy_it(shard: Path) -> None:
    index = load_index(shard)
    assert len(pickle.dumps(index)) < 1000
    assert content(pickle.loads(pickle.dumps(index))) == samples_of(6)
    assert content(pickle.loads(pickle.dumps(build_index(shard)))) == samples_of(6)
    pickled = pickle.dumps(index)
    write_tar(shard, flat(samples_of(3)))
    load_index(shard)
    with pytest.raises(RunError, match="another during the run"):
        pickle.loads(pickled)


def test_a_shard_without_samples_has_an_index(tmp_path: Path) -> None:
    for name, members in {"none": [], "unnamed": [("nodot", b"")]}.items():
        path = write_tar(tmp_path / f"{name}.tar", members)
        assert len(load_index(path)) == len(load_index(path)) == 0


def test_numbers_are_narrow_and_open_files_are_few(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "t.tar", [(f"{n:010d}.{ext}", b"x") for n in range(500) for ext in ("json", "npy")])
    before = len(os.listdir("/dev/fd"))
    index = load_index(path)
    assert len(os.listdir("/dev/fd")) == before
    columns = [*index.offsets.values(), *index.sizes.values(), index.keys.text, index.keys.ends]
    assert sum(column.nbytes for column in columns) <= 30 * len(index)
    assert not any(column.flags.owndata or column.flags.writeable for column in columns)
    with np.load(index_path(path), allow_pickle=False) as arrays:
        assert set(arrays) == {"meta", "key_text", "key_ends", "offsets", "sizes"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_many_shards_come_in_their_order(tmp_path: Path, jobs: int) -> None:
    paths = [write_tar(tmp_path / f"{n}.tar", flat(samples_of(n))) for n in (3, 1, 2)]
    load_index(paths[2])
    seen: list[tuple[int, int]] = []
    indexes = load_indexes(paths, jobs, lambda done, total: seen.append((done, total)))
    assert [len(index) for index in indexes] == [3, 1, 2]
    assert seen == [(2, 3), (3, 3)]


def test_a_long_indexing_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_tar(tmp_path / f"{n}.tar", flat(samples_of(n))) for n in (1, 2)]
    load_index(paths[0])
    with caplog.at_level("INFO", "descant"):
        load_indexes(paths)
        assert caplog.messages == []  # it took no time
        index_path(paths[1]).unlink()
        monkeypatch.setattr("descant.data.index._SAY_EVERY_S", 0.0)
        load_indexes(paths)
    assert caplog.messages == ["indexing 2 of 2 shards"]


def test_without_processes_this_one_indexes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_tar(tmp_path / f"{n}.tar", flat(samples_of(n))) for n in (1, 2)]
    monkeypatch.setattr("sys.executable", shutil.which("false"))  # each process ends at once
    assert [len(index) for index in load_indexes(paths, jobs=2)] == [1, 2]
    assert "indexing goes on in one process" in caplog.text


def test_a_script_that_indexes_is_not_started_again(tmp_path: Path) -> None:
    """Processes must not import the caller's main module, which has no guard here."""
    for number in range(3):
        write_tar(tmp_path / f"{number}.tar", flat(samples_of(number)))
    script = tmp_path / "script.py"
    lines = ["import sys, glob", "from descant.data.index import load_indexes", "print('started')"]
    script.write_text("\n".join([*lines, "print(len(load_indexes(sorted(glob.glob(sys.argv[1])), jobs=2)))"]))
    command = [sys.executable, str(script), str(tmp_path / "*.tar")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["started", "3"]
    assert done.stderr == ""
