"""The walk finds every member that any common writer of tars wrote, and names every kind of damage."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.data.index import build_index
from descant.errors import UserError
from tars import BLOCK, Members, content, flat, samples_of, write_tar


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return write_tar(tmp_path / "train-000000.tar", flat(samples_of(6)))


def header_of(path: Path, name: str) -> int:
    with tarfile.open(path) as tar:
        return tar.getmember(name).offset


def problems(path: Path) -> str:
    return "\n".join(f"{one.key} @{one.offset}: {one.problem}" for one in build_index(path).problems)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9_/-]{0,40}[a-z0-9]", fullmatch=True).filter(
            lambda key: not key.startswith("/") and "//" not in key
        ),
        st.dictionaries(st.sampled_from(["bin", "a.bin", "json", "jpg"]), st.binary(max_size=2000), min_size=1),
        min_size=1,
        max_size=12,
    )
)
def test_reads_back_every_byte_that_webdataset_writes(samples: dict[str, Members]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "any.tar")
        with webdataset.TarWriter(str(path), encoder=False) as writer:
            for key, members in samples.items():
                writer.write({"__key__": key, **members})
        index = build_index(path)
        assert content(index) == samples
        assert list(index.keys) == list(samples)
        assert index.problems == []


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("length", [20, 99, 140, 300])
def test_reads_python_tars_with_long_names(tmp_path: Path, form: int, length: int) -> None:
    if form == tarfile.USTAR_FORMAT and length > 255:
        pytest.skip("ustar has no names of this length")
    key = "/".join(["folder"] * (length // 7))
    path = write_tar(tmp_path / "long.tar", [(f"{key}/é{n}.txt", b"x" * n) for n in range(3)], form)
    index = build_index(path)
    assert content(index) == {f"{key}/é{n}": {"txt": b"x" * n} for n in range(3)}
    assert index.problems == []


@pytest.mark.parametrize("form", ["ustar", "gnu", "pax", "v7"])
def test_reads_system_tars(tmp_path: Path, form: str) -> None:
    if shutil.which("tar") is None:
        pytest.skip("there is no tar program")
    folder = tmp_path / "in"
    folder.mkdir()
    long = "k" * (90 if form in ("ustar", "v7") else 180)
    (folder / f"{long}.txt").write_bytes(b"long")
    (folder / "b.CLS").write_bytes(b"7")
    subprocess.run(["tar", f"--format={form}", "-cf", tmp_path / "t.tar", "-C", tmp_path, "in"], check=True)
    index = build_index(tmp_path / "t.tar")
    assert content(index) == {f"in/{long}": {"txt": b"long"}, "in/b": {"cls": b"7"}}
    assert index.problems == []


def test_reads_sizes_in_base_256_and_from_pax(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "t.tar", [("a.txt", b"abc"), ("b.txt", b"d" * 600)])
    raw = bytearray(path.read_bytes())
    raw[124:136] = b"\x80" + (3).to_bytes(11, "big")
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:BLOCK])
    path.write_bytes(raw)
    assert content(build_index(path))["a"] == {"txt": b"abc"}
    info = tarfile.TarInfo("p.txt")
    info.size, info.pax_headers = 4, {"size": "4", "comment": "é"}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"four"))
    assert content(build_index(path)) == {"p": {"txt": b"four"}}


def test_keys_end_at_the_first_dot_and_extensions_are_lower_case(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "t.tar", [("d.1/a.Seg.PNG", b"1"), ("d.1/a.JSON", b"2"), ("nodot", b""), (".x", b"")])
    index = build_index(path)
    assert content(index) == {"d.1/a": {"seg.png": b"1", "json": b"2"}}
    assert [one.key for one in index.problems] == ["nodot", ".x"]


@pytest.mark.parametrize("cut", ["boundary", "header", "data", "zero", "mark"])
def test_a_cut_shard_keeps_the_samples_before(shard: Path, cut: str) -> None:
    at = header_of(shard, "s004.txt")
    end = {"boundary": at, "header": at + 100, "data": at + BLOCK + 50, "zero": 0, "mark": 0}[cut]
    raw = shard.read_bytes()
    if cut == "mark":
        end = len(raw.rstrip(b"\0")) // BLOCK * BLOCK + BLOCK
    shard.write_bytes(raw[:end])
    index = build_index(shard)
    kept = {"zero": 0, "mark": 6}.get(cut, 4)
    assert content(index) == dict(list(samples_of(6).items())[:kept])
    words = {"data": "declares 2800 bytes", "zero": "empty", "header": "in the middle of a header"}
    assert words.get(cut, "without an end mark") in problems(shard)
    if kept == 4:
        assert "s004" in [one.key for one in index.problems]


@pytest.mark.parametrize(("name", "lost"), [("s002.cls", "s002"), ("s002.txt", "s002"), ("s005.txt", "s005")])
def test_a_damaged_header_costs_its_own_sample_only(shard: Path, name: str, lost: str) -> None:
    at = header_of(shard, name)
    raw = bytearray(shard.read_bytes())
    raw[at + 3] ^= 4
    shard.write_bytes(raw)
    index = build_index(shard)
    assert content(index) == {key: value for key, value in samples_of(6).items() if key != lost}
    assert any(one.offset == at and "header" in one.problem for one in index.problems)
    assert any(one.key == lost and "left out" in one.problem for one in index.problems)


def test_a_size_that_lies_is_not_believed(shard: Path) -> None:
    at = header_of(shard, "s003.txt")
    raw = bytearray(shard.read_bytes())
    raw[at + 124 : at + 136] = b"%011o\0" % 30
    raw[at + 148 : at + 156] = b" " * 8
    raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + BLOCK])
    shard.write_bytes(raw)
    assert content(build_index(shard)) == {key: value for key, value in samples_of(6).items() if key != "s003"}
    assert "the stated size of its last member may be wrong" in problems(shard)


def test_data_after_an_end_mark_are_read_and_named(tmp_path: Path, shard: Path) -> None:
    other = write_tar(tmp_path / "b.tar", [("t.txt", b"t"), ("t.cls", b"1")])
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes() + other.read_bytes())
    assert content(build_index(shard)) == {**samples_of(6), "t": {"txt": b"t", "cls": b"1"}}
    assert f"data follow at byte {size} after an end mark" in problems(shard)


def test_what_is_no_tar_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert len(build_index(path)) == 0
    assert "does not start with a tar header" in problems(path)
    with pytest.raises(UserError, match="cannot be read"):
        build_index(tmp_path / "absent.tar")


@pytest.mark.parametrize(
    ("names", "kept", "words"),
    [
        (["a.x", "a.y", "a.x", "b.x"], {"a": 2, "b": 1}, "a second member 'x'"),
        (["a.x", "a.y", "b.x", "b.y", "a.x", "a.y"], {"a": 2, "b": 2}, "a second sample with this key"),
        (["a.x", "b.x", "a.y", "b.y"], {"a": 2, "b": 2}, "interleaved"),
    ],
)
def test_duplicates_and_interleaving(tmp_path: Path, names: list[str], kept: dict[str, int], words: str) -> None:
    path = write_tar(tmp_path / "t.tar", [(name, bytes([n])) for n, name in enumerate(names)])
    found = content(build_index(path))
    assert {key: len(members) for key, members in found.items()} == kept
    assert found["a"]["x"] == b"\0"
    assert words in problems(path)


def test_links_devices_and_outside_names_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    kinds = {"l.txt": tarfile.SYMTYPE, "h.txt": tarfile.LNKTYPE, "c.txt": tarfile.CHRTYPE, "f.txt": tarfile.FIFOTYPE}
    with tarfile.open(path, "w") as tar:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../secret"
            tar.addfile(info)
        for name in ("/etc/a.txt", "../b.txt", "c/../d.txt", "good.txt"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    index = build_index(path)
    assert list(index.keys) == ["good"]
    assert [one.key for one in index.problems] == [*kinds, "/etc/a.txt", "../b.txt", "c/../d.txt"]


def test_flipped_bits_never_raise(shard: Path) -> None:
    raw, rng = shard.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        mutated = bytearray(raw)
        for place in rng.integers(0, len(raw), 33):
            mutated[place] ^= 1 << int(rng.integers(8))
        shard.write_bytes(mutated)
        index = build_index(shard)
        assert index.problems or list(index.keys) == list(samples_of(6))
        for extension, offsets in index.offsets.items():
            assert (offsets + index.sizes[extension] <= len(raw)).all()


def test_reads_what_the_shard_writer_writes(tmp_path: Path) -> None:
    given = samples_of(5)
    with webdataset.ShardWriter(str(tmp_path / "train-%06d.tar"), maxcount=3, verbose=0, encoder=False) as writer:
        for key, members in given.items():
            writer.write({"__key__": key, **members})
    indexes = [build_index(path) for path in sorted(tmp_path.glob("*.tar"))]
    assert [len(index) for index in indexes] == [3, 2]
    assert {**content(indexes[0]), **content(indexes[1])} == given
    assert [index.problems for index in indexes] == [[], []]
