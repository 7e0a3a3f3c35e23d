"""Packing a folder for each class: with and without splits, audio or pictures, and what lies beside them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from descant.data.decode import decode_audio, decode_image
from descant.errors import UserError
from descant.pack.folder import pack_folder
from packing import stock_samples


def write_picture(path: Path, number: int = 0, side: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels_HWC = np.random.default_rng(number).integers(0, 256, (side, side + 10, 3), np.uint8)
    Image.fromarray(pixels_HWC).save(path)
    return path


def write_clip(path: Path, seconds: float = 1.0, rate_hz: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(round(seconds * rate_hz)) / 5), rate_hz)
    return path


def write_pets(folder: Path, extension: str = "jpg", count: int = 20) -> Path:
    for kind in ("cat", "dog"):
        for number in range(count):
            write_picture(folder / kind / f"{number:02d}.{extension}", number)
    return folder


def test_each_folder_is_a_class_and_splits_are_drawn_within_it(tmp_path: Path) -> None:
    source = write_pets(tmp_path / "pets")
    description = pack_folder(source, tmp_path / "out", jobs=1, label="pet")
    assert description.fields["pet"].classes == ("cat", "dog")
    counts = {name: split.counts["pet"] for name, split in description.splits.items()}
    assert counts == {"train": [14, 14], "validation": [2, 2], "test": [4, 4]}
    for key, sample in stock_samples(tmp_path / "out").items():
        assert sample["jpg"] == (source / f"{key}.jpg").read_bytes()
        assert json.loads(sample["json"]) == {"pet": int(key.startswith("dog/"))}


def test_the_splits_folders_are_kept_and_a_missing_validation_is_drawn(tmp_path: Path) -> None:
    for split, count in (("Training", 10), ("test", 3)):
        write_pets(tmp_path / "pets" / split, "png", count)
    description = pack_folder(tmp_path / "pets", tmp_path / "drawn", jobs=1, validation=0.2)
    counts = {name: split.counts["class"] for name, split in description.splits.items()}
    assert counts == {"train": [8, 8], "validation": [2, 2], "test": [3, 3]}
    assert description.fields["image"].extension == "png"
    write_pets(tmp_path / "pets" / "val", "png", 1)
    description = pack_folder(tmp_path / "pets", tmp_path / "kept", jobs=1)
    assert [split.samples for split in description.splits.values()] == [20, 2, 6]


def test_folder_and_tars_give_the_same_bytes_for_any_jobs(tmp_path: Path) -> None:
    source = write_pets(tmp_path / "pets")
    with tarfile.open(tmp_path / "pets.tar.gz", "w:gz") as tar:
        tar.add(source, "./pets")
    pack_folder(source, tmp_path / "a", jobs=1)
    pack_folder(tmp_path / "pets.tar.gz", tmp_path / "b", jobs=2)
    shards = [{path.name: path.read_bytes() for path in (tmp_path / name).glob("*.tar")} for name in "ab"]
    assert shards[0] == shards[1] and len(shards[0]) == 3


def test_audio_becomes_flac_at_one_rate(tmp_path: Path) -> None:
    for kind in ("one", "two"):
        for number, extension in enumerate(("wav", "flac", "ogg", "WAV")):
            write_clip(tmp_path / "words" / kind / f"{number}.{extension}", 1.0 - 0.2 * (number == 1))
    description = pack_folder(tmp_path / "words", tmp_path / "out", jobs=1, rate_hz=4000)
    audio = description.fields["audio"]
    assert (audio.extension, audio.rate_hz, audio.seconds) == ("flac", 4000, 1.0)
    assert [entry["key"] for entry in description.provenance["shorter"]] == ["one/1", "two/1"]
    for sample in stock_samples(tmp_path / "out").values():
        assert decode_audio(sample["flac"])[1] == 4000
    with pytest.raises(UserError, match="too short: 1.0 s"):
        pack_folder(tmp_path / "words", tmp_path / "none", jobs=1, min_seconds=2.0)


def test_in_is_packed_plus_left_out_and_each_is_named(tmp_path: Path) -> None:
    source = write_pets(tmp_path / "pets")
    write_picture(source / "cat" / "00.png")
    write_picture(source / "lonely.jpg")
    (source / "README.md").write_text("pets")
    (source / "dog" / ".hidden.jpg").write_bytes(b"")
    (source / "dog" / "empty.jpg").write_bytes(b"")
    (source / "dog" / "text.png").write_text("no picture")
    (source / "dog" / "notes").write_text("none")
    description = pack_folder(source, tmp_path / "out", jobs=1)
    left_out = {entry["key"]: entry["reason"] for entry in description.provenance["left_out"]}
    assert set(left_out) == {"lonely.jpg", "README.md", "dog/.hidden.jpg", "dog/empty", "dog/text", "dog/notes"}
    assert left_out["lonely.jpg"] == "it lies in the folder of no class"
    assert left_out["dog/empty"] == "the picture is neither JPEG nor PNG"
    packed = stock_samples(tmp_path / "out")
    assert len(packed) == 41 and description.provenance["found"] == 41 + 6
    assert {"cat/00", "cat/00-2"} <= set(packed)
    assert all(sample["jpg"].startswith(b"\xff\xd8") for sample in packed.values())


def test_pictures_are_brought_to_a_size(tmp_path: Path) -> None:
    pack_folder(write_pets(tmp_path / "pets"), tmp_path / "out", jobs=1, size=10)
    assert {decode_image(sample["jpg"]).shape for sample in stock_samples(tmp_path / "out").values()} == {(10, 15, 3)}


def test_a_strip_that_would_become_huge_is_left_out(tmp_path: Path) -> None:
    source = write_pets(tmp_path / "pets")
    Image.fromarray(np.zeros((1, 60_000), np.uint8)).save(source / "cat" / "strip.png")
    description = pack_folder(source, tmp_path / "out", jobs=1, size=1024)
    (left_out,) = description.provenance["left_out"]
    assert left_out["key"] == "cat/strip"
    assert left_out["reason"].startswith("with a shorter side of 1024 pixels it would have 61440000 × 1024")


def test_odd_names_are_keys_that_all_readers_take(tmp_path: Path) -> None:
    for name in ("__meta__", "v1.0 ä", "10", "9"):
        for number in range(5):
            write_picture(tmp_path / "pets" / name / f"a.b.{number}.jpg", number)
    description = pack_folder(tmp_path / "pets", tmp_path / "out", jobs=1)
    assert description.fields["class"].classes == ("10", "9", "__meta__", "v1.0 ä")
    packed = stock_samples(tmp_path / "out")
    assert len(packed) == 20 and {"_meta__/a_b_0", "v1.0 ä/a_b_0"} <= set(packed)


def test_classes_that_are_numbers_stand_in_their_order(tmp_path: Path) -> None:
    for name in ("10", "9", "1"):
        for number in range(3):
            write_picture(tmp_path / "digits" / name / f"{number}.jpg", number)
    assert pack_folder(tmp_path / "digits", tmp_path / "out", jobs=1).fields["class"].classes == ("1", "9", "10")


def test_sources_that_cannot_work_are_refused(tmp_path: Path) -> None:
    both = write_pets(tmp_path / "both")
    write_clip(both / "cat" / "miaow.wav")
    write_picture(tmp_path / "flat" / "a.jpg")
    write_picture(tmp_path / "one" / "cat" / "a.jpg")
    (tmp_path / "empty").mkdir()
    for source, message in (
        ("both", "both audio files and pictures"),
        ("flat", "lies in a class's folder"),
        ("one", "the folder of one class, 'cat'"),
        ("empty", "no file that can be packed"),
        ("nowhere", "there is no"),
    ):
        with pytest.raises(UserError, match=message):
            pack_folder(tmp_path / source, tmp_path / "out", jobs=1)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))
    with pytest.raises(UserError, match="the label 'image' is called as the input"):
        pack_folder(both, tmp_path / "out", jobs=1, input="image", label="image")
    description = pack_folder(both, tmp_path / "out", jobs=1, input="image")
    assert [entry["key"] for entry in description.provenance["left_out"]] == ["cat/miaow.wav"]
