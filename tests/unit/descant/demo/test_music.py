"""The demo music: FMA's layout, the same bytes for the same seed, and harder than a mean spectrum can tell."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.demo import make_music
from descant.demo.music import compose
from descant.demo.styles import STYLES, Style
from descant.errors import UserError

SECONDS, RATE_HZ, TRACKS = 5.0, 16000, 160


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "music"
    make_music(folder, seed=3, tracks=TRACKS, seconds=SECONDS, rate_hz=RATE_HZ, jobs=2)
    return folder


def read_tracks(folder: Path) -> list[dict[str, str]]:
    with (folder / "tracks.csv").open(newline="", encoding="utf-8") as file:
        groups, names, index, *rows = csv.reader(file)
    assert index[0] == "track_id" and not any(index[1:])
    keys = ["track_id", *(f"{group}.{name}" for group, name in zip(groups[1:], names[1:], strict=True))]
    return [dict(zip(keys, row, strict=True)) for row in rows]


def clip_path(folder: Path, track_id: str) -> Path:
    name = f"{int(track_id):06d}"
    return folder / name[:3] / f"{name}.mp3"


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_gives_same_bytes_whatever_the_jobs(tmp_path: Path) -> None:
    for name, seed, jobs in (("one", 5, 1), ("two", 5, 2), ("other", 6, 1)):
        make_music(tmp_path / name, seed=seed, tracks=24, seconds=1.5, rate_hz=RATE_HZ, jobs=jobs)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    one, other = digests(tmp_path / "one"), digests(tmp_path / "other")
    assert one.keys() == other.keys()
    assert all(one[name] != other[name] for name in one if name.endswith(".mp3"))


def test_layout_is_that_of_fma(corpus: Path) -> None:
    rows = read_tracks(corpus)
    assert len(rows) == TRACKS and len(rows[0]) == 1 + 52
    assert {row["set.subset"] for row in rows} == {"small"}
    expected = {clip_path(corpus, row["track_id"]) for row in rows} | {corpus / "tracks.csv"}
    assert {path for path in corpus.rglob("*") if path.is_file()} == expected
    assert len({path.parent for path in expected}) > 2
    for row in rows[::20]:
        info = soundfile.info(clip_path(corpus, row["track_id"]))
        assert (info.format, info.samplerate, info.channels) == ("MP3", RATE_HZ, 1)
        assert info.frames == SECONDS * RATE_HZ


def test_splits_are_stratified_70_10_20(corpus: Path) -> None:
    counts = Counter((row["track.genre_top"], row["set.split"]) for row in read_tracks(corpus))
    expected = {"training": 14, "validation": 2, "test": 4}
    assert counts == {(style.name, split): count for style in STYLES for split, count in expected.items()}


def test_smallest_corpus_has_every_style_in_every_split(tmp_path: Path) -> None:
    make_music(tmp_path / "music", tracks=24, seconds=1.0, rate_hz=8000, jobs=1)
    counts = Counter((row["track.genre_top"], row["set.split"]) for row in read_tracks(tmp_path / "music"))
    assert len(counts) == 24 and set(counts.values()) == {1}


def test_linear_model_on_mean_spectrum_is_above_chance_and_under_80_percent(corpus: Path) -> None:
    rows = read_tracks(corpus)
    features_NF = np.stack([mean_log_spectrum(clip_path(corpus, row["track_id"])) for row in rows])
    features_NF = (features_NF - features_NF.mean(0)) / features_NF.std(0)
    names = [style.name for style in STYLES]
    label_N = np.array([names.index(row["track.genre_top"]) for row in rows])
    learn_N = np.array([row["set.split"] == "training" for row in rows])
    accuracies = [ridge_accuracy(features_NF, label_N, learn_N, penalty) for penalty in (1.0, 10.0, 100.0, 1000.0)]
    assert 0.25 < max(accuracies) < 0.8


def mean_log_spectrum(path: Path) -> np.ndarray:
    """Mean over time of the log power in 128 mel-spaced bands, relative to the clip's loudest: (128,)."""
    signal_N, rate_hz = soundfile.read(path, dtype="float32")
    frames_TN = np.lib.stride_tricks.sliding_window_view(signal_N, 2048)[::512] * np.hanning(2048)
    power_TF = np.abs(np.fft.rfft(frames_TN)) ** 2
    mels = np.linspace(0, 2595 * np.log10(1 + rate_hz / 2 / 700), 130)
    edges = 700 * (10 ** (mels / 2595) - 1) / rate_hz * 2048
    bins = np.arange(power_TF.shape[1])
    bank_FB = np.stack([np.interp(bins, edges[band : band + 3], [0, 1, 0]) for band in range(128)], axis=1)
    decibel_TB = 10 * np.log10(power_TF @ bank_FB + 1e-10)
    return np.asarray(np.maximum(decibel_TB, decibel_TB.max() - 80).mean(0) - decibel_TB.max())


def ridge_accuracy(features_NF: np.ndarray, label_N: np.ndarray, learn_N: np.ndarray, penalty: float) -> float:
    inputs_NF = np.c_[features_NF, np.ones(len(features_NF))]
    learn_NF, target_NC = inputs_NF[learn_N], np.eye(len(STYLES))[label_N[learn_N]]
    weight_FC = np.linalg.solve(learn_NF.T @ learn_NF + penalty * np.eye(learn_NF.shape[1]), learn_NF.T @ target_NC)
    return float((np.argmax(inputs_NF[~learn_N] @ weight_FC, axis=1) == label_N[~learn_N]).mean())


@settings(max_examples=25, deadline=None)
@given(number=st.integers(0, 10**6), seed=st.integers(0, 2**32), seconds=st.floats(1.0, 4.0))
def test_every_clip_is_finite_audible_and_never_clipped(number: int, seed: int, seconds: float) -> None:
    signal_N = compose(number, seed=seed, seconds=seconds, rate_hz=8000)
    assert signal_N.shape == (round(seconds * 8000),) and signal_N.dtype == np.float32
    assert np.isfinite(signal_N).all() and np.abs(signal_N).max() < 1
    assert np.sqrt(np.mean(signal_N**2)) > 0.02


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_patterns_have_one_mark_per_step(style: Style) -> None:
    for pattern in (*style.kick, *style.snare, *style.hat, *style.comp, *style.bass, style.melody):
        assert len(pattern) == style.steps


def test_progress_reaches_the_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        seen.append((done, total))

    make_music(tmp_path / "music", tracks=24, seconds=1.0, rate_hz=8000, jobs=2, on_progress=report)
    assert seen[-1] == (24, 24) and seen == sorted(seen)


@pytest.mark.parametrize(
    ("wrong", "word"), [({"tracks": 10}, "tracks"), ({"seconds": 0.1}, "seconds"), ({"rate_hz": 1234}, "rate_hz")]
)
def test_numbers_that_cannot_work_are_refused(tmp_path: Path, wrong: dict[str, float], word: str) -> None:
    with pytest.raises(UserError, match=word):
        make_music(tmp_path / "music", **wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
