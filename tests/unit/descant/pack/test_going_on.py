"""A pack that was killed or interrupted goes on with its whole shards, and ends with the same bytes."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from descant.errors import Interrupted, UserError
from descant.pack.idx import pack_idx
from descant.pack.journal import FILE, Journal

SHARD_BYTES = 100_000
PICTURES = 3000


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("idx")
    rng = np.random.default_rng(0)
    for name, count in (("train", PICTURES), ("t10k", 100)):
        for part, shape in (("images-idx3", (count, 8, 8)), ("labels-idx1", (count,))):
            head = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
            (folder / f"{name}-{part}-ubyte").write_bytes(head + rng.integers(0, 10, shape, np.uint8).tobytes())
    return folder


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed pack gives."""
    out = tmp_path_factory.mktemp("whole") / "out"
    pack_idx(source, out, jobs=1, shard_size=SHARD_BYTES)
    return contents(out)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".npz"}


def noted(partial: Path) -> dict[str, int]:
    """The inodes of the shards that an unfinished pack left."""
    return {path.name: path.stat().st_ino for path in partial.glob("*.tar")}


def start(source: Path, out: Path) -> subprocess.Popen[bytes]:
    call = f"pack_idx(Path({str(source)!r}), Path({str(out)!r}), jobs=1, shard_size={SHARD_BYTES})"
    code = f"from pathlib import Path\nfrom descant.pack.idx import pack_idx\n{call}"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def kill_with_shards(process: subprocess.Popen[bytes], partial: Path, count: int) -> None:
    """Kill a pack once it has begun ``count`` shards."""
    deadline = time.monotonic() + 60
    while len(noted(partial)) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was done before it was killed"


def test_whole_shards_outlive_kills_and_the_bytes_are_the_same(
    source: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out, partial = tmp_path / "out", tmp_path / ".out.partial"
    for count in (6, 12):
        kill_with_shards(start(source, out), partial, count)
        assert not out.exists()
    before = noted(partial)
    journal = (partial / FILE).read_text().splitlines()
    seen: list[tuple[int, int]] = []
    pack_idx(source, out, jobs=2, shard_size=SHARD_BYTES, on_progress=lambda done, total: seen.append((done, total)))
    assert contents(out) == whole and [path.name for path in tmp_path.iterdir()] == ["out"]
    kept = [name for name, inode in before.items() if (out / name).stat().st_ino == inode]
    assert len(kept) >= len(journal) - 1 >= 10
    assert seen[0][0] > 500 and seen[-1] == (PICTURES + 100, PICTURES + 100)


def interrupt_at(number: int) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        if done == number:
            raise KeyboardInterrupt

    return report


def test_ctrl_c_keeps_whole_shards_and_says_so(source: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    out, partial = tmp_path / "out", tmp_path / ".out.partial"
    with pytest.raises(Interrupted, match=r"interrupted; \d+ samples are in whole shards: the same command goes on"):
        pack_idx(source, out, jobs=1, shard_size=SHARD_BYTES, on_progress=interrupt_at(1500))
    assert noted(partial) and not out.exists()
    pack_idx(source, out, jobs=1, shard_size=SHARD_BYTES)
    assert contents(out) == whole and not partial.exists()


def test_ctrl_c_before_the_first_whole_shard_leaves_nothing(source: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        pack_idx(source, tmp_path / "out", jobs=1, on_progress=interrupt_at(10))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", ["seed", "shard_size", "source"])
def test_other_arguments_or_another_source_begin_anew(source: Path, tmp_path: Path, change: str) -> None:
    own = tmp_path / "source"
    own.mkdir()
    for path in source.iterdir():
        (own / path.name).write_bytes(path.read_bytes())
    with pytest.raises(Interrupted):
        pack_idx(own, tmp_path / "out", jobs=1, shard_size=SHARD_BYTES, on_progress=interrupt_at(1500))
    options = {"seed": 0, "shard_size": SHARD_BYTES}
    if change == "source":
        images = own / "train-images-idx3-ubyte"
        images.write_bytes(images.read_bytes()[:-1] + b"\x07")
    else:
        options[change] += 1
    for name in ("out", "fresh"):
        pack_idx(own, tmp_path / name, jobs=1, **options)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_a_shard_that_was_changed_is_made_anew(source: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    out, partial = tmp_path / "out", tmp_path / ".out.partial"
    with pytest.raises(Interrupted):
        pack_idx(source, out, jobs=1, shard_size=SHARD_BYTES, on_progress=interrupt_at(1500))
    with (partial / "train-000002.tar").open("ab") as file:
        file.write(b"more")
    pack_idx(source, out, jobs=1, shard_size=SHARD_BYTES)
    assert contents(out) == whole


def test_a_torn_last_line_is_as_good_as_none(tmp_path: Path) -> None:
    for torn in (b"", b'{"name": "train-0000', b"\x00\x00"):
        journal = Journal(tmp_path, "same")
        assert not journal.shards
        journal.close()
        with (tmp_path / FILE).open("ab") as file:
            file.write(torn)


def test_two_packs_of_one_data_set_at_once_are_refused(source: Path, tmp_path: Path) -> None:
    def pack_again(done: int, total: int) -> None:
        with pytest.raises(UserError, match="another process is packing into"):
            pack_idx(source, tmp_path / "out", jobs=1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_idx(source, tmp_path / "out", jobs=1, on_progress=pack_again)
    assert not list(tmp_path.iterdir())


def test_a_replaced_data_set_is_back_when_the_move_was_killed(source: Path, tmp_path: Path) -> None:
    pack_idx(source, tmp_path / "out", jobs=1)
    os.replace(tmp_path / "out", tmp_path / ".out.old")  # as between the two steps of the move
    with pytest.raises(UserError, match="holds something already"):
        pack_idx(source, tmp_path / "out", jobs=1)
    assert (tmp_path / "out" / "dataset.json").is_file()
