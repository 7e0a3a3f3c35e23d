"""Packing idx files: single pictures, pairs on one canvas, gzipped or not, and files that do not fit."""

from __future__ import annotations

import gzip
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from descant.data.decode import decode_image
from descant.errors import UserError
from descant.pack.idx import pack_idx
from packing import largest_file, stock_samples

SIDE = 10


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_idx(folder: Path, zipped: bool = False, train: int = 60, test: int = 10) -> Path:
    """Write pictures of one brightness each, 1 and up, whose label is their number modulo three."""
    folder.mkdir(parents=True)
    for name, count in (("train", train), ("t10k", test)):
        images_NHW = np.broadcast_to(np.arange(1, count + 1, dtype=np.uint8)[:, None, None], (count, SIDE, SIDE))
        labels_N = (np.arange(count) % 3).astype(np.uint8)
        for part, content in (("images-idx3", idx(images_NHW)), ("labels-idx1", idx(labels_N))):
            path = folder / f"{name}-{part}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content) if zipped else content)
    return folder


def test_pictures_are_stored_with_label_and_split(tmp_path: Path) -> None:
    description = pack_idx(write_idx(tmp_path / "idx"), tmp_path / "out", jobs=1, label="digit", classes="a, b,c")
    assert description.fields["digit"].classes == ("a", "b", "c")
    counts = {name: split.counts["digit"] for name, split in description.splits.items()}
    assert counts == {"train": [18, 18, 18], "validation": [2, 2, 2], "test": [4, 3, 3]}
    for number, (key, sample) in enumerate(stock_samples(tmp_path / "out", "test").items()):
        assert key == f"test-{number:06d}" and json.loads(sample["json"]) == {"digit": number % 3}
        assert (decode_image(sample["png"], grey=True) == number + 1).all()


def test_gzipped_files_give_the_same_bytes_for_any_jobs(tmp_path: Path) -> None:
    for name, zipped, jobs in (("a", False, 1), ("b", True, 2)):
        pack_idx(write_idx(tmp_path / f"idx{name}", zipped), tmp_path / name, jobs=jobs, pairs=True)
    shards = [{path.name: path.read_bytes() for path in (tmp_path / name).glob("*.tar")} for name in "ab"]
    assert shards[0] == shards[1] and len(shards[0]) == 3


def seen_at(canvas_HW: np.ndarray) -> int:
    """Return the brightness of the picture at the top left: where the first row of it begins."""
    rows, columns = np.nonzero(canvas_HW)
    first = np.lexsort((columns, rows))[0]
    return int(canvas_HW[rows[first], columns[first]])


def test_pairs_show_both_pictures_where_they_belong(tmp_path: Path) -> None:
    description = pack_idx(write_idx(tmp_path / "idx"), tmp_path / "out", jobs=1, pairs=True)
    assert {name: split.samples for name, split in description.splits.items()} == {
        "train": 108,
        "validation": 12,
        "test": 20,
    }
    seen: dict[str, set[int]] = {}
    shifts = set()
    for split in description.splits:
        for sample in stock_samples(tmp_path / "out", split).values():
            canvas_HW = decode_image(sample["png"], grey=True)[..., 0]
            assert canvas_HW.shape == (SIDE + 8, SIDE + 8)
            first, second = seen_at(canvas_HW), seen_at(canvas_HW[::-1, ::-1])
            assert set(np.unique(canvas_HW).tolist()) == {0, first, second}
            if first == second:  # one lies over the other
                continue
            assert json.loads(sample["json"]) == {"top_left": (first - 1) % 3, "bottom_right": (second - 1) % 3}
            for value, corner_HW in ((first, canvas_HW), (second, canvas_HW[::-1, ::-1])):
                rows, columns = np.nonzero(corner_HW == value)
                assert 0 <= rows.min() <= 4 and 0 <= columns.min() <= 4
                shifts.add((int(rows.min()), int(columns.min())))
                assert (corner_HW[rows.min() :, columns.min() :][:SIDE, :SIDE] >= value).all()
            seen.setdefault(split, set()).update((first, second))
    assert description.splits["test"].counts == {"top_left": [8, 6, 6], "bottom_right": [8, 6, 6]}
    assert len(shifts) == 25
    assert not seen["train"] & seen["validation"] and len(seen["train"] | seen["validation"]) == 60


def test_pairs_depend_on_the_seed_alone(tmp_path: Path) -> None:
    source = write_idx(tmp_path / "idx")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        pack_idx(source, tmp_path / name, jobs=1, pairs=True, seed=seed)
    a, b, c = ((tmp_path / name / "train-000000.tar").read_bytes() for name in "abc")
    assert a == b != c


def damage(source: Path, what: str) -> None:
    labels, images = source / "train-labels-idx1-ubyte", source / "train-images-idx3-ubyte"
    if what == "missing":
        labels.unlink()
    elif what == "cut":
        images.write_bytes(images.read_bytes()[:-5])
    elif what == "head":
        images.write_bytes(b"\0\0")
    elif what == "swapped":
        images.write_bytes(labels.read_bytes())
    elif what == "others":
        labels.write_bytes(idx(np.zeros(7, np.uint8)))
    elif what == "two":
        write_idx(source / "inner")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "lacks the idx files of train labels"),
        ("cut", "states 6,000 bytes and holds 5,995"),
        ("head", "shorter than the head"),
        ("swapped", "no idx file of unsigned bytes with 3 axes"),
        ("others", "labels 7 of the 60 pictures of train"),
        ("two", "holds several data sets"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, what: str, message: str) -> None:
    source = write_idx(tmp_path / "idx")
    damage(source, what)
    with pytest.raises(UserError, match=message):
        pack_idx(source, tmp_path / "out", jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["idx"]


def tar_of(source: Path) -> Path:
    with tarfile.open(source.with_suffix(".tar"), "w") as tar:
        tar.add(source, source.name)
    return source.with_suffix(".tar")


def test_gzipped_files_in_a_tar_that_do_not_unzip_are_refused(tmp_path: Path) -> None:
    source = write_idx(tmp_path / "idx", zipped=True)
    tar = tar_of(source)
    with largest_file(2_000), pytest.raises(UserError, match="idx/.*gz' cannot be unzipped into .* set TMPDIR"):
        pack_idx(tar, tmp_path / "out", jobs=1)
    images = source / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:-9])
    with pytest.raises(UserError, match="idx/train-images-idx3-ubyte.gz' does not unzip"):
        pack_idx(tar_of(source), tmp_path / "out", jobs=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["idx", "idx.tar"]


def test_a_split_of_one_picture_is_paired_with_itself(tmp_path: Path) -> None:
    description = pack_idx(write_idx(tmp_path / "idx", test=1), tmp_path / "out", jobs=1, pairs=True)
    assert description.splits["test"].counts == {"top_left": [2, 0, 0], "bottom_right": [2, 0, 0]}


def test_only_labels_that_occur_are_classes(tmp_path: Path) -> None:
    source = write_idx(tmp_path / "idx")
    for path in source.glob("*-labels-*"):  # as in EMNIST's letters, which begin at 1
        content = np.frombuffer(path.read_bytes(), np.uint8).copy()
        content[8:] = 2 * content[8:] + 1
        path.write_bytes(content.tobytes())
    assert pack_idx(source, tmp_path / "out", jobs=1).fields["class"].classes == ("1", "3", "5")
    labels = [json.loads(sample["json"])["class"] for sample in stock_samples(tmp_path / "out", "test").values()]
    assert labels == [number % 3 for number in range(10)]


def test_too_few_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="classes names 2 classes and the files have 3"):
        pack_idx(write_idx(tmp_path / "idx"), tmp_path / "out", classes="a,b")


@pytest.mark.slow
def test_real_fashion_mnist_packs(test_data: Path, tmp_path: Path) -> None:
    description = pack_idx(test_data / "fashion-mnist", tmp_path / "out", jobs=2)
    assert [split.samples for split in description.splits.values()] == [54_000, 6_000, 10_000]
    assert description.splits["test"].counts == {"class": [1_000] * 10}
