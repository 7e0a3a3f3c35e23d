"""The cache of shards: room, use, and what happens when there is none."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from descant.data.cache import Entry, ShardCache
from descant.errors import RunError, UserError
from descant.locks import FileLock

SIZE = 1000


def _writes(size: int = SIZE) -> Callable[[Path], None]:
    def download(target: Path) -> None:
        target.write_bytes(bytes(size))

    return download


def _never(target: Path) -> None:
    raise AssertionError(f"{target} is downloaded again")


def _entry(cache: ShardCache, name: str, size: int = SIZE) -> Entry:
    return cache.entry(f"s3://bucket/{name}.tar", "1", size)


def _fill(cache: ShardCache, name: str, used_s: float) -> Entry:
    """Put a shard into the cache as if it was last used then."""
    entry = _entry(cache, name)
    cache.hold(entry, _writes()).release()
    os.utime(entry.path.parent / "lock", (used_s, used_s))
    return entry


def _left(cache: ShardCache) -> list[str]:
    return sorted(path.name for path in cache.folder.rglob("*") if path.is_file() and path.name != "lock")


def test_a_shard_is_downloaded_once_and_stays(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 10 * SIZE)
    cache.hold(_entry(cache, "a"), _writes()).release()
    cache.hold(_entry(cache, "a"), _never).release()
    assert _left(cache) == ["a.tar"]
    assert _entry(cache, "a").path.parent != cache.entry("s3://bucket/a.tar", "2", SIZE).path.parent


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 3 * SIZE)
    for name, used_s in {"new": 300.0, "old": 100.0, "middle": 200.0}.items():
        _fill(cache, name, used_s)
    cache.hold(_entry(cache, "next"), _writes()).release()
    assert _left(cache) == ["middle.tar", "new.tar", "next.tar"]


def test_a_shard_in_use_stays(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 2 * SIZE, patience_s=0.1)
    old = cache.hold(_fill(cache, "old", 100.0), _never)
    os.utime(_entry(cache, "old").path.parent / "lock", (100.0, 100.0))
    _fill(cache, "new", 200.0)
    next_one = cache.hold(_entry(cache, "next"), _writes())
    assert _left(cache) == ["next.tar", "old.tar"]
    with pytest.raises(RunError, match=r"1,000 bytes does not fit .* other shards are in use.*DESCANT_CACHE_GB"):
        cache.hold(_entry(cache, "third"), _writes())
    old.release()
    cache.hold(_entry(cache, "third"), _writes()).release()
    next_one.release()
    assert _left(cache) == ["next.tar", "third.tar"]


def test_a_shard_beyond_the_limit_removes_nothing(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, SIZE)
    _fill(cache, "a", 100.0)
    with pytest.raises(RunError, match="1,001 bytes does not fit .*its limit is 1,000 bytes.*raise DESCANT_CACHE_GB"):
        cache.hold(_entry(cache, "b", SIZE + 1), _never)
    assert _left(cache) == ["a.tar"]


def test_an_index_stays_when_its_shard_goes_and_goes_after_a_week(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, SIZE + 100)
    index = _fill(cache, "a", 100.0).path.with_name("a.tar.index.npz")
    index.write_bytes(bytes(50))
    cache.hold(_entry(cache, "b"), _writes()).release()
    assert _left(cache) == ["a.tar.index.npz", "b.tar"]
    os.utime(index, (100.0, 100.0))
    cache.hold(_entry(cache, "c", SIZE + 80), _writes(SIZE + 80)).release()
    assert _left(cache) == ["c.tar"]


def test_a_download_that_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 3 * SIZE)

    def fails(target: Path) -> None:
        target.write_bytes(bytes(10))
        raise RunError("the server is gone")

    with pytest.raises(RunError, match="the server is gone"):
        cache.hold(_entry(cache, "a"), fails)
    assert _left(cache) == []
    cache.hold(_entry(cache, "a"), _writes()).release()


def test_what_a_dead_process_left_is_taken_away(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 2 * SIZE)
    for name in ("a", "b"):
        folder = _entry(cache, name).path.parent / f"{SIZE}.0123.download"
        folder.mkdir(parents=True)
        (folder / f"{name}.tar").write_bytes(bytes(500))
    cache.hold(_entry(cache, "a"), _writes()).release()
    assert _left(cache) == ["a.tar"]


def test_downloads_under_way_count_until_they_can_go(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, SIZE + SIZE // 2)
    order: list[str] = []
    begun = threading.Event()

    def slowly(target: Path) -> None:
        begun.set()
        time.sleep(0.3)
        order.append("a")
        target.write_bytes(bytes(SIZE))

    def next_one(target: Path) -> None:
        order.append("b")
        target.write_bytes(bytes(SIZE))

    thread = threading.Thread(target=lambda: cache.hold(_entry(cache, "a"), slowly).release())
    thread.start()
    assert begun.wait(60)
    cache.hold(_entry(cache, "b"), next_one).release()
    thread.join()
    assert order == ["a", "b"] and _left(cache) == ["b.tar"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounts a small disk: only root may")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_is_said_and_nothing_stays(small_disk: Path) -> None:
    cache = ShardCache(small_disk, 10**9, patience_s=0.1)
    with pytest.raises(RunError, match="does not fit.*the disk has no room"):
        cache.hold(_entry(cache, "a", 2 * 10**6), _writes())

    def others_fill_it(target: Path) -> None:
        target.write_bytes(bytes(2 * 10**6))

    with pytest.raises(RunError, match="does not fit.*No space left on device.*set DESCANT_CACHE"):
        cache.hold(_entry(cache, "a", 5 * 10**5), others_fill_it)
    assert _left(cache) == []


def test_a_small_disk_holds_one_shard_after_the_other(small_disk: Path) -> None:
    cache = ShardCache(small_disk, 10**9)
    for name in "abc":
        cache.hold(_entry(cache, name, 6 * 10**5), _writes(6 * 10**5)).release()
    assert _left(cache) == ["c.tar"]


def _hold_until_told(folder: Path, held: object, go_on: object) -> None:
    cache = ShardCache(folder, 2 * SIZE)
    cache.hold(_entry(cache, "a"), _writes())
    held.set()  # type: ignore[attr-defined]
    go_on.wait()  # type: ignore[attr-defined]
    os._exit(1)  # as a killed process would end


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, go_on = context.Event(), context.Event()
    process = context.Process(target=_hold_until_told, args=(tmp_path, held, go_on))
    process.start()
    assert held.wait(60)
    cache = ShardCache(tmp_path, SIZE, patience_s=0.1)
    with pytest.raises(RunError, match="in use"):
        cache.hold(_entry(cache, "b"), _writes())
    go_on.set()
    process.join()
    cache.hold(_entry(cache, "b"), _writes()).release()
    assert _left(cache) == ["b.tar"]


def test_a_forked_child_does_not_let_go_of_its_parents_shard(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    lock.share()
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    with FileLock(tmp_path / "lock") as other:
        assert not other.try_own()
        lock.release()
        assert other.try_own()


def test_the_environment_names_folder_and_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DESCANT_CACHE_GB", "0.5")
    cache = ShardCache.from_environment()
    assert (cache.folder, cache.limit_bytes) == (tmp_path / "cache" / "shards", 500_000_000)
    for given in ("much", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("DESCANT_CACHE_GB", given)
        with pytest.raises(UserError, match=f"DESCANT_CACHE_GB is '{given}': give"):
            ShardCache.from_environment()
    (tmp_path / "file").touch()
    monkeypatch.setenv("DESCANT_CACHE_GB", "1")
    monkeypatch.setenv("DESCANT_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be used .*: set DESCANT_CACHE to another"):
        ShardCache.from_environment()


def test_use_is_noted(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 3 * SIZE)
    entry = _fill(cache, "a", 100.0)
    cache.hold(entry, _never).release()
    assert (entry.path.parent / "lock").stat().st_mtime > time.time() - 1000
