"""Packing CIFAR-100's binary version: names, colours, a folder or a tar, and files that are none."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descant.data.decode import decode_image
from descant.errors import UserError
from descant.pack.cifar100 import pack_cifar100
from packing import stock_samples

FINE, COARSE = tuple(f"fine_{number}" for number in range(10)), ("animal", "plant")


def write_cifar(folder: Path, train: int = 100, test: int = 20) -> Path:
    """Write pictures of noise, whose fine label is their number modulo ten."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, count in (("train.bin", train), ("test.bin", test)):
        bytes_NB = rng.integers(0, 256, (count, 2 + 3 * 32 * 32), np.uint8)
        bytes_NB[:, 1] = np.arange(count) % 10
        bytes_NB[:, 0] = bytes_NB[:, 1] // 5
        (folder / name).write_bytes(bytes_NB.tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(FINE) + "\n\n")
    (folder / "coarse_label_names.txt").write_bytes("\r\n".join(COARSE).encode())
    return folder


def test_pictures_names_and_splits_are_the_files_own(tmp_path: Path) -> None:
    source = write_cifar(tmp_path / "cifar")
    description = pack_cifar100(source, tmp_path / "out", jobs=1)
    assert {name: split.samples for name, split in description.splits.items()} == {
        "train": 90,
        "validation": 10,
        "test": 20,
    }
    assert description.splits["validation"].counts == {"fine": [1] * 10, "coarse": [5, 5]}
    assert (description.fields["fine"].classes, description.fields["coarse"].classes) == (FINE, COARSE)
    bytes_NB = np.frombuffer((source / "test.bin").read_bytes(), np.uint8).reshape(20, -1)
    samples = stock_samples(tmp_path / "out", "test")
    assert list(samples) == [f"test-{number:05d}" for number in range(20)]
    for bytes_B, sample in zip(bytes_NB, samples.values(), strict=True):
        assert json.loads(sample["json"]) == {"coarse": bytes_B[0], "fine": bytes_B[1]}
        picture_HWC = decode_image(sample["png"])
        np.testing.assert_array_equal(picture_HWC.transpose(2, 0, 1).reshape(-1), bytes_B[2:])


def test_folder_tar_and_gzipped_tar_give_the_same_bytes_for_any_jobs(tmp_path: Path) -> None:
    source = write_cifar(tmp_path / "cifar" / "cifar-100-binary")
    for name, mode in (("cifar.tar", "w"), ("cifar.tar.gz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as tar:  # type: ignore[call-overload]
            tar.add(source, "cifar-100-binary")
    packed = []
    for number, name in enumerate(("cifar", "cifar.tar", "cifar.tar.gz")):
        pack_cifar100(tmp_path / name, tmp_path / f"out{number}", jobs=1 + number % 2, seed=3)
        packed.append({path.name: path.read_bytes() for path in (tmp_path / f"out{number}").glob("*.tar")})
    assert packed[0] == packed[1] == packed[2] and len(packed[0]) == 3


def test_labels_without_a_name_are_left_out(tmp_path: Path) -> None:
    source = write_cifar(tmp_path / "cifar")
    for name, byte in (("test.bin", 1), ("train.bin", 5 * 3074)):
        content = bytearray((source / name).read_bytes())
        content[byte] = 200
        (source / name).write_bytes(content)
    description = pack_cifar100(source, tmp_path / "out", jobs=1)
    left_out = {entry["key"]: entry["reason"] for entry in description.provenance["left_out"]}
    assert left_out["test-00000"] == "fine is 200, for which there is no name"
    assert left_out["train-00005"] == "coarse is 200, for which there is no name"
    packed = sum(split.samples for split in description.splits.values())
    assert packed + len(left_out) == description.provenance["found"] == 120


def damage(source: Path, what: str) -> None:
    if what == "missing":
        (source / "test.bin").unlink()
    elif what == "cut":
        (source / "train.bin").write_bytes((source / "train.bin").read_bytes()[:-1])
    elif what == "empty":
        (source / "train.bin").write_bytes(b"")
    else:
        (source / "fine_label_names.txt").write_text("a\na\n")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "there is no test.bin in .* a pickle, which is not read"),
        ("cut", "no whole pictures of 3,074 bytes"),
        ("empty", "train.bin .* has 0 bytes"),
        ("names", "fine_label_names.txt .* must name each class once"),
    ],
)
def test_files_of_another_version_are_refused(tmp_path: Path, what: str, message: str) -> None:
    source = write_cifar(tmp_path / "cifar")
    damage(source, what)
    with pytest.raises(UserError, match=message):
        pack_cifar100(source, tmp_path / "out", jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar"]


@pytest.mark.parametrize("options", [{"validation": 0.0}, {"seed": -1}, {"jobs": 0}, {"shard_size": 0}])
def test_numbers_that_cannot_work_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(options)).replace("_", " ")):
        pack_cifar100(write_cifar(tmp_path / "cifar"), tmp_path / "out", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar"]
