"""What a shard can make the table of its samples cost: many extensions, many PAX keywords."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from pathlib import Path

from descant.data.index import build_index
from descant.data.samples import MAX_EXTENSIONS
from descant.data.tar_header import pax_records
from tars import content, write_tar


def test_names_with_inner_dots_are_named_and_take_little_memory(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "train-000000.tar", [(f"n{n:05d}.{n}.jpg", b"x") for n in range(4000)])
    tracemalloc.start()
    index = build_index(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 32 << 20, "as many columns as extensions would take hundreds of megabytes"
    assert list(index.keys) == [f"n{n:05d}" for n in range(MAX_EXTENSIONS)]
    (problem,) = index.problems
    assert (problem.key, problem.offset) == ("n00064", 64 * 1024 + 512)
    assert "more than 64 different extensions, so 3936 members" in problem.problem
    assert "rename them without inner dots" in problem.problem


def test_a_shard_of_as_many_extensions_as_allowed_is_sound(tmp_path: Path) -> None:
    samples = {f"{n}": {f"x{(n + m) % MAX_EXTENSIONS}": b"%d" % n for m in range(9)} for n in range(MAX_EXTENSIONS)}
    members = [(f"{key}.{extension}", data) for key, sample in samples.items() for extension, data in sample.items()]
    index = build_index(write_tar(tmp_path / "a.tar", members))
    assert content(index) == samples
    assert len(index.offsets) == MAX_EXTENSIONS and index.problems == []
    last = write_tar(tmp_path / "b.tar", [*members, ("0.more", b"x")])
    assert content(build_index(last)) == samples  # the sample's other members are read
    assert [problem.key for problem in build_index(last).problems] == ["0"]


def test_many_pax_keywords_are_not_kept() -> None:
    payload = b"".join(b"%d k%05d=v\n" % (12, n) for n in range(40_000)) + b"25 GNU.sparse.realsize=1\n"
    payload += b"11 size=17\n" + b"12 path=a.b\n"
    assert pax_records(payload) == {"size": b"17", "path": b"a.b", "keywords": b"GNU.sparse.realsize"}
    assert pax_records(payload[:-1]) is None


def test_a_sparse_file_among_other_keywords_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.npy")
        info.size, info.pax_headers = 4, {"comment": "x", "GNU.sparse.major": "1", "other": "y"}
        tar.addfile(info, io.BytesIO(b"data"))
    assert [problem.problem for problem in build_index(path).problems] != []
    assert len(build_index(path)) == 0
