"""Files and folders that are whole or absent."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from descant.cores import usable_cores
from descant.files import is_full, whole_file, whole_folder, write_bytes, write_text


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_at_once(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "old ä\n", durable=durable)
    with whole_file(path, durable=durable) as file:
        file.write(b"new")
        assert path.read_text(encoding="utf-8") == "old ä\n"
    assert path.read_bytes() == b"new" and [entry.name for entry in tmp_path.iterdir()] == ["note.txt"]


def test_a_file_can_be_read_by_those_who_may_read_others(tmp_path: Path) -> None:
    write_bytes(tmp_path / "mine", b"")
    (tmp_path / "other").touch()
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_nothing_stays_behind_on_an_exception(tmp_path: Path, error: BaseException) -> None:
    write_text(tmp_path / "kept", "kept")
    with pytest.raises(type(error)), whole_file(tmp_path / "kept") as file:
        file.write(b"half")
        raise error
    with pytest.raises(type(error)), whole_folder(tmp_path / "deep" / "folder") as folder:
        (folder / "half").touch()
        raise error
    assert (tmp_path / "kept").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "kept"]


def test_two_writers_of_one_path_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with whole_file(path) as first, whole_file(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first"


def test_names_may_be_as_long_as_file_systems_allow(tmp_path: Path) -> None:
    write_text(tmp_path / ("x" * 255), "long")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a" / "b") as folder:
        (folder / "file").touch()
        assert not (tmp_path / "a" / "b").exists()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]


def test_full_disks_and_quotas_are_told_from_other_errors() -> None:
    assert is_full(OSError(errno.ENOSPC, "")) and is_full(OSError(errno.EDQUOT, ""))
    assert not is_full(OSError(errno.ENOENT, "")) and not is_full(ValueError()) and not is_full(None)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot bind a process to cores")
def test_only_the_cores_that_the_process_is_bound_to_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert usable_cores() == len(before)
