"""dataset.json comes back as written, and shards without one are understood from what they hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from descant.data.description import Description, Field, Split, describe
from descant.data.infer import infer
from descant.errors import UserError
from support import write_shard

POINTS = [[1.0, 2.0], [3.5, 4.0]]


def example() -> Description:
    fields = {
        "audio": Field("audio", "flac", rate_hz=16_000, seconds=30.0),
        "cover": Field("image", ("jpg", "png")),
        "genre": Field("class", classes=("Folk", "Rock")),
        "landmarks": Field("points", shape=(5, 2)),
    }
    splits = {
        "train": Split(3, ("train-000000.tar", "train-000001.tar"), {"genre": [1, 2]}),
        "validation": Split(1, ("validation-000000.tar",)),
    }
    return Description("music", fields, splits, "0f", {"seed": 1, "left_out": [{"key": "000001", "reason": "short"}]})


def label_shard(path: Path, samples: list[dict[str, Any]]) -> None:
    members = {f"{path.stem}-{n}": {"txt": b"t", "json": json.dumps(one).encode()} for n, one in enumerate(samples)}
    write_shard(path, members)


def test_a_description_comes_back_as_written(tmp_path: Path) -> None:
    example().write(tmp_path)
    assert Description.read(tmp_path) == example() == describe(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]
    fields = json.loads((tmp_path / "dataset.json").read_text())["fields"]
    assert (fields["audio"]["extension"], fields["cover"]["extension"]) == ("flac", ["jpg", "png"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "its format is 2, known is 1"),
        ({"splits": {"train": {"samples": 1}}}, "'shards' is missing"),
        ({"splits": {"train": {"samples": 1, "shards": ["../x.tar"]}}}, "shards lie beside it"),
        ({"fields": {"genre": {"kind": "class", "clases": ["a"]}}}, "clases"),
        ({"fields": []}, "is no description of a data set"),
        ({"fingerprint": 5}, "fingerprint is 5"),
        ({"splits": {"train": {"samples": 1, "shards": [5]}}}, "a shard of the split 'train' is 5"),
        ({"splits": {"train": {"samples": 1, "shards": "a.tar"}}}, "are 'a.tar', no list"),
        ({"splits": {"train": {"samples": 1, "shards": {"a.tar": 1}}}}, "no list"),
        ({"splits": {"train": {"samples": "1", "shards": ["a.tar"]}}}, "samples of the split 'train' are '1'"),
        ({"splits": {"train": {"samples": 1, "shards": ["a.tar"], "counts": 3}}}, "is no description"),
        ({"splits": {"train": {"samples": 1, "shards": ["a.tar", "a.tar"]}}}, "'a.tar' twice, for the split 'train'"),
        (
            {"splits": {name: {"samples": 1, "shards": [f"{name}.tar", "a.tar"]} for name in ("train", "test")}},
            "'a.tar' twice, for the split 'train' and for 'test'",
        ),
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps(example().to_json() | change))
    with pytest.raises(UserError, match=words):
        Description.read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", "[" * 100_000])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(UserError, match="pack the data again"):
        describe(tmp_path)


@pytest.mark.parametrize("name", ["absent", ""])
def test_a_folder_without_shards_says_how_to_make_some(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="descant data demo"):
        describe(tmp_path / name)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ([2, 0, None], Field("class", classes=("0", "1", "2"))),
        ([True, False, True], Field("class", classes=("no", "yes"))),
        (["rock", "folk", "rock"], Field("class", classes=("folk", "rock"))),
        ([0.5, 1.5, 2.5], Field("number", shape=())),
        ([1, 0.5, 2], Field("number", shape=())),
        ([-1, 0, 3], Field("number", shape=())),
        ([10**15, 0, 3], Field("number", shape=())),
        ([[1.0, 2.0, 3.0]] * 3, Field("number", shape=(3,))),
        ([POINTS] * 3, Field("points", shape=(2, 2))),
        ([{"a": 1}, {"a": 2}], Field("text")),
        ([["a", "b"], ["c"]], Field("text")),
    ],
)
def test_labels_are_understood_from_their_values(tmp_path: Path, values: list[Any], field: Field) -> None:
    label_shard(tmp_path / "train-000000.tar", [{"label": value} for value in values])
    found = infer(tmp_path).fields["label"]
    assert found.kind == field.kind and found.classes == field.classes
    assert found.kind == "class" or found.shape == field.shape


def test_splits_go_by_the_names_of_the_shards(tmp_path: Path) -> None:
    for name in ("train-000000", "Training-000001", "val-0", "dev_1", "test_7", "testing-000"):
        label_shard(tmp_path / f"{name}.tar", [{"genre": 1}, {"genre": 0}, {}])
    description = infer(tmp_path)
    assert {name: split.samples for name, split in description.splits.items()} == {
        "train": 6,
        "validation": 6,
        "test": 6,
    }
    assert description.splits["train"].shards == ("Training-000001.tar", "train-000000.tar")
    assert description.splits["train"].counts == {"genre": [2, 2]}


def test_shards_of_no_split_train_unless_others_are_of_one(tmp_path: Path) -> None:
    for name in ("eval-000000", "extra-000000"):
        label_shard(tmp_path / f"{name}.tar", [{"genre": 1}])
    assert {name: split.samples for name, split in infer(tmp_path).splits.items()} == {"train": 2}
    label_shard(tmp_path / "train-000000.tar", [{"genre": 1}])
    with pytest.raises(UserError, match=r"'eval-000000.tar' does not \(2 in all\): begin it with one of train, "):
        infer(tmp_path)


def test_inputs_are_named_by_their_kind_or_extension(tmp_path: Path) -> None:
    members = {"left.jpg": b"", "jpg": b"", "png": b"", "flac": b"", "npy": b"", "txt": b"", "cls": b"3"}
    write_shard(tmp_path / "a.tar", {"k": members})
    fields = infer(tmp_path).fields
    kinds = {name: (field.kind, field.extension) for name, field in fields.items() if not field.is_label}
    assert kinds["audio"] == ("audio", "flac")
    assert kinds["array"] == ("array", "npy") and kinds["text"] == ("text", "txt")
    assert {"jpg", "png"} <= set(kinds)
    assert fields["cls"].classes == ("0", "1", "2", "3")


def test_the_fingerprint_depends_on_content_and_not_on_place(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in "abc")
    label_shard(first / "train-000000.tar", [{"genre": 1}, {"genre": 0}])
    shutil.copytree(first, second)
    label_shard(third / "train-000000.tar", [{"genre": 1}, {"genre": 0}, {"genre": 0}])
    assert infer(first).fingerprint == infer(second).fingerprint != infer(third).fingerprint


def test_samples_whose_json_does_not_parse_are_left_to_the_reader(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", {"k": {"txt": b"t", "json": b"{"}, "l": {"txt": b"t", "json": b'{"genre": 1}'}})
    description = infer(tmp_path)
    assert description.splits["train"].samples == 2
    assert description.fields["genre"].classes == ("0", "1")
