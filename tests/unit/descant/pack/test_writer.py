"""The writer of data sets: whole or nothing, the same bytes, and readable by stock webdataset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from descant.data.description import Description, Field, describe
from descant.data.index import load_index
from descant.errors import RunError, UserError
from descant.pack.record import PackedSample
from descant.pack.writer import DataSetWriter
from packing import largest_file, stock_samples

FIELDS = {
    "image": Field("image", "jpg"),
    "kind": Field("class", classes=("cat", "dog")),
    "spots": Field("points", shape=(1, 2)),
}


def write(folder: Path, count: int = 10, stop_at: int = -1, **options: int | bool | str) -> Description:
    with DataSetWriter(folder, "pets", FIELDS, **options) as writer:  # type: ignore[arg-type]
        for number in range(count):
            split = ("train", "train", "validation", "test")[number % 4]
            labels = {"kind": number % 2, "spots": None if number % 3 else [[1.5, float(number)]]}
            if number not in writer.done:
                sample = PackedSample({"jpg": bytes([number % 256]) * 700}, labels)
                writer.add(number, split, f"group.one/{number:03d}", sample)
            if number == stop_at:
                raise KeyboardInterrupt
        return writer.finish(FIELDS, {"command": "test", "left_out": []})


def contents(folder: Path) -> dict[str, bytes]:
    """Everything but the indexes, which hold the time at which the shard was written."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".npz"}


def test_description_says_what_was_written(tmp_path: Path) -> None:
    description = write(tmp_path / "pets")
    assert describe(tmp_path / "pets") == description
    assert {name: split.samples for name, split in description.splits.items()} == {
        "train": 6,
        "validation": 2,
        "test": 2,
    }
    assert description.splits["train"].counts == {"kind": [3, 3]}
    assert description.fields == FIELDS and description.provenance["command"] == "test"
    index = load_index(tmp_path / "pets" / "train-000000.tar")
    assert not index.problems and index.keys[:2] == ["group.one/000", "group.one/001"]
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_stock_webdataset_reads_the_same_samples(tmp_path: Path) -> None:
    write(tmp_path / "pets")
    samples = list(stock_samples(tmp_path / "pets", "train").values())
    assert [sample["__key__"] for sample in samples] == [f"group.one/{n:03d}" for n in (0, 1, 4, 5, 8, 9)]
    assert samples[1]["jpg"] == bytes([1]) * 700
    assert [json.loads(sample["json"]) for sample in samples[:2]] == [{"kind": 0, "spots": [[1.5, 0.0]]}, {"kind": 1}]


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "one").fingerprint == write(tmp_path / "two").fingerprint
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_shards_end_after_their_size(tmp_path: Path) -> None:
    description = write(tmp_path / "pets", count=80, shard_size=20_000)
    shards = description.splits["train"].shards
    assert len(shards) > 1 and shards[1] == "train-000001.tar"
    assert all((tmp_path / "pets" / name).stat().st_size >= 20_000 for name in shards[:-1])
    assert sum(len(load_index(tmp_path / "pets" / name)) for name in shards) == 40


def test_a_folder_name_is_never_a_url_nor_a_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("pipe:touch trap #") / "100%d")
    assert not (tmp_path / "trap").exists()
    assert (tmp_path / "pipe:touch trap #" / "100%d" / "train-000000.tar").is_file()


@pytest.mark.parametrize("size_bytes", [0, 10, 40, 1_000, 4_000, 30_000])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, size_bytes: int) -> None:
    with largest_file(size_bytes), pytest.raises(RunError, match="the disk is full.*nothing half-written"):
        write(tmp_path / "pets", count=200)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_when_a_shard_is_noted_leaves_nothing_behind(tmp_path: Path) -> None:
    """Every shard is as large as files may be, and the notes of all of them grow beyond that."""
    with largest_file(20_480), pytest.raises(RunError, match="the disk is full"):
        write(tmp_path / "pets", count=2_000, shard_size=1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".pets.partial" / "packing.jsonl").mkdir(parents=True)
    with pytest.raises(UserError, match="nothing can be written into .*pets"):
        write(tmp_path / "pets")


def test_an_error_while_packing_leaves_the_old_data_set(tmp_path: Path) -> None:
    write(tmp_path / "pets")
    before = contents(tmp_path / "pets")
    with (
        pytest.raises(KeyboardInterrupt),
        DataSetWriter(tmp_path / "pets", "pets", FIELDS, overwrite=True) as writer,
    ):
        writer.add(0, "train", "new", PackedSample({"jpg": b""}, {}))
        raise KeyboardInterrupt
    assert contents(tmp_path / "pets") == before and [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_overwrite_replaces_a_data_set_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "pets")
    with pytest.raises(UserError, match="--overwrite"):
        write(tmp_path / "pets")
    assert write(tmp_path / "pets", count=20, overwrite=True).splits["train"].samples == 10
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear")
    with pytest.raises(UserError, match="no data set"):
        write(tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear"
    with pytest.raises(UserError, match="is a file"):
        write(tmp_path / "mine" / "diary.txt", overwrite=True)


def test_an_empty_split_and_an_untaught_class_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the split 'validation' would be empty"):
        write(tmp_path / "pets", count=2)
    with (
        pytest.raises(UserError, match="no training sample is of the kind 'dog'"),
        DataSetWriter(tmp_path / "pets", "pets", FIELDS) as writer,
    ):
        writer.add(0, "train", "a", PackedSample({"jpg": b"a"}, {"kind": 0}))
        writer.add(1, "validation", "b", PackedSample({"jpg": b"b"}, {"kind": 1}))
        writer.finish(FIELDS, {})
    assert list(tmp_path.iterdir()) == []


def test_a_label_that_lacks_a_class_beside_whole_ones_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {**FIELDS, "coat": Field("class", classes=("short", "long"))}
    with DataSetWriter(tmp_path / "pets", "pets", fields) as writer:
        for number, split in enumerate(("train", "train", "validation")):
            labels = {"kind": number % 2, "coat": 1}
            writer.add(number, split, str(number), PackedSample({"jpg": b"a"}, labels))
        writer.finish(fields, {})
    assert "no training sample is of the coat 'short': a task that learns it will not know this class" in caplog.text
