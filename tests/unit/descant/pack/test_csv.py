"""Packing what a table lists: kinds of labels, splits, paths, and rows that cannot be packed."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from descant.errors import UserError
from descant.pack.csv import pack_csv
from packing import stock_samples

COLUMNS = ("path", "kind", "age", "title")


def write_table(
    folder: Path, rows: Sequence[Sequence[object]] = (), columns: Sequence[str] = COLUMNS, delimiter: str = ","
) -> Path:
    """Write thirty pictures, their table, and more rows."""
    (folder / "images").mkdir(parents=True)
    own = [[f"images/{number:02d}.png", "ab"[number % 2], number * 0.5, f"title {number}"] for number in range(30)]
    for number in range(30):
        pixels_HW = np.full((9, 9), number, np.uint8)
        Image.fromarray(pixels_HW).save(folder / "images" / f"{number:02d}.png")
    with (folder / "table.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=delimiter).writerows([columns, *own, *rows])
    return folder / "table.csv"


def labels(folder: Path) -> dict[str, dict[str, Any]]:
    return {key: json.loads(sample["json"]) for key, sample in stock_samples(folder).items()}


def left_out(description: Any) -> dict[str, str]:
    return {entry["key"]: entry["reason"] for entry in description.provenance["left_out"]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_numbers_are_numbers_and_few_texts_are_classes(tmp_path: Path, delimiter: str) -> None:
    description = pack_csv(write_table(tmp_path / "source", delimiter=delimiter), tmp_path / "out", jobs=1)
    assert {name: field.kind for name, field in description.fields.items()} == {
        "image": "image",
        "kind": "class",
        "age": "number",
    }
    assert description.fields["kind"].classes == ("a", "b")
    assert description.provenance["ignored"] == {"title": "30 different texts"}
    assert labels(tmp_path / "out")["images/03"] == {"kind": 1, "age": 1.5}
    counts = {name: split.counts["kind"] for name, split in description.splits.items()}
    assert counts == {"train": [10, 10], "validation": [2, 2], "test": [3, 3]}


def test_kinds_that_are_given_count_more_than_guesses(tmp_path: Path) -> None:
    source = write_table(tmp_path / "source", columns=("file", "kind", "digit", "name"))
    description = pack_csv(source, tmp_path / "out", jobs=1, label=["kind=none"])
    assert list(description.fields) == ["image", "digit"]
    assert description.provenance["ignored"] == {"kind": "asked for", "name": "30 different texts"}


def test_a_column_of_splits_and_other_names_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    table = write_table(folder)
    rows = [[f"{number:02d}.png", number % 3, ("training", "Val", "TEST")[number // 10]] for number in range(30)]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("where", "digit", "part"), *rows])
    options: dict[str, Any] = {"path_column": "where", "split_column": "part", "root": folder / "images"}
    description = pack_csv(table, tmp_path / "out", jobs=2, label=["digit=class"], **options)
    assert [split.samples for split in description.splits.values()] == [10, 10, 10]
    assert description.splits["train"].counts == {"digit": [4, 3, 3]}
    assert list(stock_samples(tmp_path / "out", "test")) == [str(number) for number in range(20, 30)]
    assert "root" not in description.provenance["options"]


def test_an_empty_cell_teaches_nothing(tmp_path: Path) -> None:
    table = write_table(tmp_path / "source", [["images/00.png", "", "", ""], ["images/00.png", "a", "NaN", ""]])
    description = pack_csv(table, tmp_path / "out", jobs=1)
    packed = labels(tmp_path / "out")
    assert packed["images/00-2"] == {} and packed["images/00-3"] == {"kind": 0}
    assert not left_out(description)


def test_in_is_packed_plus_left_out_and_each_line_is_named(tmp_path: Path) -> None:
    rows = [
        ["nowhere.png", "a", 1, ""], ["", "a", 1, ""], ["table.csv", "a", 1, ""], ["bad.png", "a", 1, ""],
        ["images/01.png", "a", "inf", ""],
    ]  # fmt: skip
    table = write_table(tmp_path / "source", rows)
    (tmp_path / "source" / "bad.png").write_bytes(b"no picture")
    description = pack_csv(table, tmp_path / "out", jobs=1, label=["age=number"])
    assert left_out(description) == {
        "line 32": "nowhere.png: there is no such file",
        "line 33": "it has no path",
        "line 34": "table.csv: its extension is none of jpeg, jpg, png",
        "line 36": "images/01.png: its age is 'inf', which is no number",
        "bad": "the picture is neither JPEG nor PNG",
    }
    assert len(stock_samples(tmp_path / "out")) == 30 and description.provenance["found"] == 35


def test_a_path_that_no_file_can_have_is_left_out(tmp_path: Path) -> None:
    rows = [["x" * 300 + ".png", "a", 1, ""], ["a/" * 3000 + "b.png", "b", 1, ""], ["a\0.png", "b", 1, ""]]
    description = pack_csv(write_table(tmp_path / "source", rows), tmp_path / "out", jobs=1)
    reasons = left_out(description)
    assert list(reasons) == ["line 32", "line 33", "line 34"]
    assert reasons["line 32"].endswith("the file cannot be read: File name too long")


def test_paths_never_lead_out_of_the_keys(tmp_path: Path) -> None:
    table = write_table(tmp_path / "source", [["../up.png", "a", 1, ""], [str(tmp_path / "up.png"), "b", 1, ""]])
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "up.png")
    pack_csv(table, tmp_path / "out", jobs=1)
    assert {"up", f"{str(tmp_path).lstrip('/')}/up"} <= set(stock_samples(tmp_path / "out"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": ["knd=class"]}, "no column 'knd' for a label: did you mean 'kind'"),
        ({"label": ["kind"]}, "the label 'kind' has no kind"),
        ({"label": ["kind=text"]}, "NAME=number, or NAME=none"),
        ({"label": ["kind=none", "age=none"]}, "no column .* is a label"),
        ({"label": ["title=number"]}, "no row .* can be packed|its title is"),
        ({"path_column": "file"}, "no column 'file'"),
        ({"split_column": "part"}, "no column 'part'"),
        ({"path_column": "kind"}, "no file that can be packed"),
        ({"input": "audio"}, "no file that can be packed"),
        ({"size": 1}, "size is 1"),
    ],
)
def test_what_cannot_work_is_said_and_leaves_nothing(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        pack_csv(write_table(tmp_path / "source"), tmp_path / "out", jobs=1, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no rows"),
        (b"path,kind\n", "has no rows"),
        (b"a,a\n1,2\n", "must have names that differ"),
        (b"path,kind\na.png\n", "line 2 .* has 1 cells, its header 2"),
        (b"kind,age\na,1\n", "none of the columns kind, age is called path"),
        (b"path,kind\n\xff\xfe,1\n", "no table of UTF-8 text"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        pack_csv(tmp_path / "table.csv", tmp_path / "out", jobs=1)
    with pytest.raises(UserError, match="cannot be read"):
        pack_csv(tmp_path, tmp_path / "out", jobs=1)
