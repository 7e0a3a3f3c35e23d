"""Packing FMA's layout: splits, subsets, broken clips and tables, the same bytes for any number of jobs."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from descant.demo import make_music
from descant.errors import UserError
from descant.pack.fma import pack_fma
from descant.pack.splits import stratified
from packing import stock_samples

RATE_HZ = 8000
Row = tuple[int, str, str, str]  # number, split, subset, genre
ROWS: tuple[Row, ...] = (
    (1, "training", "small", "Rock"),
    (2, "training", "small", "Folk"),
    (3, "validation", "medium", "Rock"),
    (1004, "test", "large", "Folk"),
    (123456, "validation", "small", "Folk"),
)


def write_clip(path: Path, seconds: float, tone_hz: float = 440.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave_N = 0.5 * np.sin(2 * np.pi * tone_hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    soundfile.write(path, wave_N, RATE_HZ, format="MP3", subtype="MPEG_LAYER_III")


def write_fma(folder: Path, rows: Sequence[Row] = ROWS, seconds: Mapping[int, float] | None = None) -> Path:
    """Write clips of 2 s and FMA's table with a few more columns than are needed."""
    for number, _, _, _ in rows:
        write_clip(clip(folder, number), (seconds or {}).get(number, 2.0), 200.0 + number % 1000)
    write_table(folder / "tracks.csv", rows)
    return folder


def write_table(path: Path, rows: Sequence[Row], drop: Sequence[tuple[str, str]] = ()) -> None:
    columns = [("artist", "bio"), ("set", "split"), ("set", "subset"), ("track", "genre_top"), ("track", "title")]
    kept = [column for column in columns if column not in drop]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([["", *(group for group, _ in kept)], ["", *(name for _, name in kept)], ["track_id"]])
        for number, split, subset, genre in rows:
            cells = dict(zip(columns, ("long, \n" + "x" * 200_000, split, subset, genre, "a “title”"), strict=True))
            writer.writerow([number, *(cells[column] for column in kept)])


def clip(folder: Path, number: int) -> Path:
    return folder / f"{number // 1000:03d}" / f"{number:06d}.mp3"


def pack(source: Path, out: Path, **options: Any) -> Any:
    return pack_fma(source, out, **{"jobs": 1, "rate_hz": RATE_HZ, "min_seconds": 1.0, **options})


def left_out(description: Any) -> dict[str, str]:
    return {entry["key"]: entry["reason"] for entry in description.provenance["left_out"]}


def test_clips_come_as_flac_with_genre_and_split_of_the_table(tmp_path: Path) -> None:
    description = pack(write_fma(tmp_path / "fma"), tmp_path / "out")
    assert description.fields["genre"].classes == ("Folk", "Rock")
    assert (description.fields["audio"].extension, description.fields["audio"].rate_hz) == ("flac", RATE_HZ)
    assert description.fields["audio"].seconds == pytest.approx(2.0, abs=0.1)
    assert description.splits["train"].counts == {"genre": [1, 1]} and not left_out(description)
    train, validation = stock_samples(tmp_path / "out", "train"), stock_samples(tmp_path / "out", "validation")
    assert (list(train), list(validation)) == (["000001", "000002"], ["000003", "123456"])
    assert json.loads(train["000001"]["json"]) == {"genre": 1}
    flac_N, rate_hz = soundfile.read(io.BytesIO(train["000001"]["flac"]), dtype="float32")
    mp3_N, _ = soundfile.read(clip(tmp_path / "fma", 1), dtype="float32")
    assert rate_hz == RATE_HZ
    np.testing.assert_allclose(flac_N, mp3_N, atol=1 / 2**15)


def test_mels_are_those_of_the_training_front_end(tmp_path: Path) -> None:
    import torch

    from descant.inputs.mel import LogMel

    pack(write_fma(tmp_path / "fma"), tmp_path / "out", mels=True)
    mel_TM = np.load(io.BytesIO(stock_samples(tmp_path / "out", "train")["000002"]["npy"]))
    mp3_N, _ = soundfile.read(clip(tmp_path / "fma", 2), dtype="float32")
    expected_TM = LogMel(RATE_HZ)(torch.from_numpy(mp3_N)[None])[0].numpy()
    assert mel_TM.dtype == np.float16
    np.testing.assert_allclose(mel_TM, expected_TM, atol=1e-3)


@pytest.mark.parametrize("mels", [False, True])
def test_any_number_of_jobs_gives_the_same_bytes(tmp_path: Path, mels: bool) -> None:
    write_fma(tmp_path / "fma")
    for jobs in (1, 2):
        pack(tmp_path / "fma", tmp_path / str(jobs), jobs=jobs, mels=mels, rate_hz=11_025)
    for name in ("dataset.json", "train-000000.tar", "validation-000000.tar", "test-000000.tar"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


def test_stereo_clips_are_mixed_and_resampled(tmp_path: Path) -> None:
    fma = write_fma(tmp_path / "fma")
    times_N = np.arange(2 * 22_050) / 22_050
    tone_N = 0.3 * np.sin(2 * np.pi * 1234 * times_N)
    soundfile.write(clip(fma, 1), np.stack([tone_N, tone_N], 1), 22_050, format="MP3")
    pack(fma, tmp_path / "out", rate_hz=16_000)
    flac = stock_samples(tmp_path / "out", "train")["000001"]["flac"]
    audio_N, rate_hz = soundfile.read(io.BytesIO(flac))
    assert rate_hz == 16_000 and audio_N.ndim == 1
    loudest_hz = np.argmax(np.abs(np.fft.rfft(audio_N))) * rate_hz / audio_N.size
    assert abs(loudest_hz - 1234) < 1


def test_the_demo_corpus_packs(tmp_path: Path) -> None:
    make_music(tmp_path / "demo", tracks=24, seconds=1.5, jobs=1)
    description = pack(tmp_path / "demo", tmp_path / "out", mels=True, rate_hz=16_000)
    assert sum(split.samples for split in description.splits.values()) == 24
    assert len(description.fields["genre"].classes) == 8


def test_broken_and_short_clips_are_listed_and_partial_ones_named(tmp_path: Path) -> None:
    rows = [(number, "training" if number < 8 else "validation", "small", "Rock") for number in range(1, 11)]
    fma = write_fma(tmp_path / "fma", rows, {2: 0.4})
    clip(fma, 3).write_bytes(b"")
    clip(fma, 4).write_bytes(b"no music at all" * 100)
    whole = clip(fma, 5).read_bytes()
    clip(fma, 5).write_bytes(whole[: round(0.7 * len(whole))])
    clip(fma, 6).unlink()
    description = pack(fma, tmp_path / "out", subset="small")
    assert list(left_out(description)) == ["000006", "000002", "000003", "000004"]
    assert left_out(description)["000006"] == "there is no clip"
    assert "too short: 0." in left_out(description)["000002"]
    assert left_out(description)["000003"] == "the clip is empty: it has 0 bytes"
    assert "does not decode" in left_out(description)["000004"]
    assert description.provenance["found"] == 10
    assert [entry["key"] for entry in description.provenance["shorter"]] == ["000005"]
    assert list(stock_samples(tmp_path / "out", "train")) == ["000001", "000005", "000007"]


@pytest.mark.parametrize(("subset", "count"), [("small", 3), ("medium", 4), ("large", 5), (None, 5)])
def test_subsets_are_nested(tmp_path: Path, subset: str | None, count: int) -> None:
    description = pack(write_fma(tmp_path / "fma"), tmp_path / "out", subset=subset)
    assert sum(split.samples for split in description.splits.values()) == count


def test_tracks_without_genre_or_listed_twice_are_left_out(tmp_path: Path) -> None:
    rows = [*ROWS, (7, "training", "small", ""), (1, "training", "small", "Folk"), (99, "training", "small", "Rock")]
    fma = write_fma(tmp_path / "fma", rows)
    clip(fma, 99).unlink()
    write_clip(clip(fma, 1234), 2.0, 300.0)
    description = pack(fma, tmp_path / "out")
    assert left_out(description) == {
        "001234": "the clip has no row in tracks.csv",
        "000007": "the track has no genre_top",
        "000001": "the track has a second row in tracks.csv",
    }


def test_the_table_is_found_in_fma_metadata_beside_the_clips(tmp_path: Path) -> None:
    write_fma(tmp_path / "fma_small")
    (tmp_path / "fma_metadata").mkdir()
    shutil.move(tmp_path / "fma_small" / "tracks.csv", tmp_path / "fma_metadata" / "tracks.csv")
    assert pack(tmp_path / "fma_small", tmp_path / "out").splits["train"].samples == 2


@pytest.mark.parametrize(
    "drop", [[("set", "subset")], [("set", "split"), ("track", "genre_top")]], ids=["one", "several"]
)
def test_missing_columns_are_named(tmp_path: Path, drop: list[tuple[str, str]]) -> None:
    write_table(write_fma(tmp_path / "fma") / "tracks.csv", ROWS, drop)
    with pytest.raises(UserError, match="lacks the column") as error:
        pack(tmp_path / "fma", tmp_path / "out")
    assert all(f"({group}, {name})" in str(error.value) for group, name in drop)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([row if row[3] == "Rock" else (row[0], "test", *row[2:]) for row in ROWS], {}, "no training .* 'Folk'"),
        ([row for row in ROWS if row[1] != "validation"], {}, "in the split 'validation'"),
        ([(row[0], "", *row[2:]) for row in ROWS], {"split": "fma"}, "5 tracks have no split"),
        (ROWS, {"subset": "tiny"}, "no FMA subset 'tiny'"),
        (ROWS, {"rate_hz": 0}, "rate_hz is 0"),
        (ROWS, {"tracks": Path("nowhere.csv")}, "cannot be read"),
    ],
)
def test_what_cannot_work_is_said_and_leaves_nothing(
    tmp_path: Path, rows: Sequence[Row], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        pack(write_fma(tmp_path / "fma", rows), tmp_path / "out", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["fma"]


def test_a_binary_table_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        pack(tmp_path / "nowhere", tmp_path / "out")
    fma = write_fma(tmp_path / "fma")
    (fma / "tracks.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match="no table as FMA's"):
        pack(fma, tmp_path / "out")


def test_the_folder_that_was_probably_meant_is_named(tmp_path: Path) -> None:
    fma = write_fma(tmp_path / "data" / "fma_small")
    (tmp_path / "data" / "fma_metadata").mkdir()
    for given in (tmp_path / "data", fma / "000", tmp_path / "data" / "fma_metadata"):
        with pytest.raises(UserError, match=f"{given}' holds no clips .* did you mean '{fma}'"):
            pack(given, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="give the folder that holds 000/000002.mp3"):
        pack(tmp_path / "empty", tmp_path / "out")


def test_tracks_without_split_are_split_by_the_seed(tmp_path: Path) -> None:
    fma = write_fma(tmp_path / "fma", [(n, "", "small", "Rock" if n % 2 else "Folk") for n in range(1, 21)])
    sizes = []
    for seed in (0, 0, 1):
        out = tmp_path / f"out{len(sizes)}"
        pack(fma, out, seed=seed)
        sizes.append([list(stock_samples(out, split)) for split in ("train", "validation", "test")])
    assert [len(keys) for keys in sizes[0]] == [14, 2, 4]
    assert sizes[0] == sizes[1] != sizes[2]


def test_random_splits_are_70_10_20_within_each_class() -> None:
    classes = ["a"] * 50 + ["b"] * 30 + ["c"] * 3
    splits = stratified(classes, 0)
    for name, expected in (("a", (35, 5, 10)), ("b", (21, 3, 6)), ("c", (1, 1, 1))):
        own = [split for split, kind in zip(splits, classes, strict=True) if kind == name]
        assert tuple(own.count(split) for split in ("train", "validation", "test")) == expected


def test_real_music_packs(test_data: Path, tmp_path: Path) -> None:
    source = tmp_path / "music"
    for path in sorted((test_data / "music").glob("*/*.mp3"))[::8]:
        (source / path.parent.name).mkdir(parents=True, exist_ok=True)
        (source / path.parent.name / path.name).symlink_to(path)
    count = len(list(source.glob("*/*.mp3")))
    tracks = test_data / "music" / "tracks.csv"
    description = pack_fma(source, tmp_path / "out", tracks=tracks, mels=True, jobs=2, rate_hz=16_000)
    assert sum(split.samples for split in description.splits.values()) == count > 30
    assert not left_out(description) and len(description.fields["genre"].classes) == 8
    assert description.fields["mel"].seconds == pytest.approx(30.0, abs=0.2)
