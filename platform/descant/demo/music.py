"""Eight styles of synthesised music in FMA's raw layout: ``NNN/NNNNNN.mp3`` beside ``tracks.csv``.

Layout after Defferrard et al., "FMA: A Dataset for Music Analysis", ISMIR 2017: two header rows and a row that
names the index, 52 columns, splits ``training``, ``validation`` and ``test``.
"""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path

import numpy as np

from descant.demo.staging import run_all, staged_folder
from descant.demo.styles import STYLES, Style
from descant.demo.synth import Signal, Synthesizer, master
from descant.errors import UserError
from descant.parallel import Progress

MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_STRIDE = 7  # numbers with gaps and more than one folder, as in FMA; prime to 8, so styles take turns
_COLUMNS = {
    "album": "comments date_created date_released engineer favorites id information listens producer tags title "
    "tracks type",
    "artist": "active_year_begin active_year_end associated_labels bio comments date_created favorites id latitude "
    "location longitude members name related_projects tags website wikipedia_page",
    "set": "split subset",
    "track": "bit_rate comments composer date_created date_recorded duration favorites genre_top genres genres_all "
    "information interest language_code license listens lyricist number publisher tags title",
}


def make_music(
    folder: Path,
    *,
    seed: int = 0,
    tracks: int = 320,
    seconds: float = 10.0,
    rate_hz: int = 16000,
    jobs: int | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Write ``tracks`` clips in eight styles and their ``tracks.csv`` into ``folder``, new or empty.

    Each clip is a function of (seed, track number, seconds, rate_hz) alone, whatever ``jobs`` is. Splits are about
    70/10/20 within each style. Raises UserError for numbers that cannot work; leaves nothing behind on failure.
    """
    if tracks < 3 * len(STYLES):
        raise UserError(f"tracks is {tracks}: give {3 * len(STYLES)} or more, so that each split has every style")
    if not seconds >= 1.0:
        raise UserError(f"seconds is {seconds}: give clips of 1 s or more")
    if rate_hz not in MP3_RATES_HZ:
        raise UserError(f"rate_hz is {rate_hz}, which MP3 does not have: choose one of {MP3_RATES_HZ}")
    numbers = [_STRIDE * index for index in range(1, tracks + 1)]
    with staged_folder(folder) as staging:
        for number in numbers:
            _clip_path(staging, number).parent.mkdir(exist_ok=True)
        write = partial(_write_clip, staging, seed=seed, seconds=seconds, rate_hz=rate_hz)
        run_all(write, numbers, jobs, on_progress)
        _write_tracks_csv(staging / "tracks.csv", _splits(numbers, seed), seconds)


def style_of(number: int) -> Style:
    """Return the style of the clip with this track number."""
    return STYLES[number % len(STYLES)]


def compose(number: int, *, seed: int, seconds: float, rate_hz: int) -> Signal:
    """Return one clip, float32 of shape (round(seconds * rate_hz),) within (-1, 1): a piece in the number's style."""
    style, rng = style_of(number), np.random.default_rng([seed, number])
    synth = Synthesizer(seconds, rate_hz, rng)
    step_s = 60.0 / rng.uniform(*style.tempo_bpm) * style.beats / style.steps
    bar_s = step_s * style.steps
    offset_s = rng.uniform(0, bar_s)  # clips are cut out of pieces: they begin anywhere in a bar
    bars = range(-2, int(seconds / bar_s) + 1)
    starts_s = [bar * bar_s + offset_s for bar in bars]
    progression = style.progressions[rng.integers(len(style.progressions))]
    chords = [progression[bar % len(progression)] for bar in bars]
    tonic = int(rng.integers(-6, 6))
    _play_drums(synth, style, starts_s, step_s, rng)
    _play_chords_and_bass(synth, style, list(zip(starts_s, chords, strict=True)), step_s, tonic, rng)
    _play_melody(synth, style, list(zip(starts_s, chords, strict=True)), step_s, tonic, rng)
    return master(synth.mix, rate_hz, rng)


def _play_drums(
    synth: Synthesizer, style: Style, starts_s: list[float], step_s: float, rng: np.random.Generator
) -> None:
    for name, patterns in (("kick", style.kick), ("snare", style.snare), ("hat", style.hat)):
        pattern, level = patterns[rng.integers(len(patterns))], 10 ** (rng.uniform(-14, 2) / 20)
        for start_s in starts_s:
            for step, mark in enumerate(pattern):
                if mark != "." and rng.random() < 0.95:
                    synth.drum(
                        name, start_s + step * step_s, level * (1.0 if mark == "x" else 0.5) * rng.uniform(0.8, 1.1)
                    )


def _play_chords_and_bass(
    synth: Synthesizer,
    style: Style,
    bars: list[tuple[float, int]],
    step_s: float,
    tonic: int,
    rng: np.random.Generator,
) -> None:
    comp, bass = style.comp[rng.integers(len(style.comp))], style.bass[rng.integers(len(style.bass))]
    instrument = style.chords[rng.integers(len(style.chords))]
    comp_level, bass_level = 10 ** (rng.uniform(-12, 0, 2) / 20)
    for start_s, chord in bars:
        for step in range(style.steps):
            time_s = start_s + step * step_s
            if comp[step] == "x":
                for third in range(style.chord_notes):
                    pitch = 55 + (tonic + _semitones(style, chord + 2 * third) + 5) % 12
                    synth.note(instrument, pitch, time_s, style.comp_steps * step_s, 0.5 * comp_level)
            if bass[step] != ".":
                pitch = 36 + (tonic + _semitones(style, chord)) % 12 + _bass_interval(style, chord, bass[step])
                synth.note("bass", pitch, time_s, style.bass_steps * step_s, bass_level)


def _play_melody(
    synth: Synthesizer,
    style: Style,
    bars: list[tuple[float, int]],
    step_s: float,
    tonic: int,
    rng: np.random.Generator,
) -> None:
    instrument, level = style.lead[rng.integers(len(style.lead))], 10 ** (rng.uniform(-12, 0) / 20)
    degree = int(rng.integers(0, 10))
    for start_s, chord in bars:
        for step, chance in enumerate(style.melody):
            if rng.random() >= int(chance) / 10:
                continue
            degree = int(np.clip(degree + rng.integers(-2, 3), 0, 13))
            if step % (style.steps // style.beats) == 0 and (degree - chord) % 7 not in (0, 2, 4):
                degree += 1  # beats carry notes of the chord
            pitch = 62 + tonic + _semitones(style, degree)
            synth.note(
                instrument, pitch, start_s + step * step_s, style.melody_steps * step_s, level * rng.uniform(0.7, 1.0)
            )


def _semitones(style: Style, degree: int) -> int:
    return style.scale[degree % 7] + 12 * (degree // 7)


def _bass_interval(style: Style, chord: int, mark: str) -> int:
    return _semitones(style, chord + {"1": 0, "3": 2, "5": 4, "8": 7}[mark]) - _semitones(style, chord)


def _clip_path(folder: Path, number: int) -> Path:
    name = f"{number:06d}"
    return folder / name[:3] / f"{name}.mp3"


def _write_clip(folder: Path, number: int, *, seed: int, seconds: float, rate_hz: int) -> None:
    import soundfile

    signal_N = compose(number, seed=seed, seconds=seconds, rate_hz=rate_hz)
    clip = io.BytesIO()  # libsndfile says of a full disk no more than that writing failed
    soundfile.write(clip, signal_N, rate_hz, format="MP3", subtype="MPEG_LAYER_III")
    _clip_path(folder, number).write_bytes(clip.getvalue())


def _splits(numbers: list[int], seed: int) -> dict[int, str]:
    """Give each number its split: within each style 10 % validation, 20 % test (one at least), the rest training."""
    split_of: dict[int, str] = {}
    for index, style in enumerate(STYLES):
        members = [number for number in numbers if style_of(number) is style]
        validation, test = max(1, round(0.1 * len(members))), max(1, round(0.2 * len(members)))
        for place, member in enumerate(np.random.default_rng([seed, 0, index]).permutation(members).tolist()):
            later = "test" if place < validation + test else "training"
            split_of[member] = "validation" if place < validation else later
    return dict(sorted(split_of.items()))


def _write_tracks_csv(path: Path, split_of: dict[int, str], seconds: float) -> None:
    columns = [(group, name) for group, names in _COLUMNS.items() for name in names.split()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["", *(group for group, _ in columns)])
        writer.writerow(["", *(name for _, name in columns)])
        writer.writerow(["track_id", *("" for _ in columns)])
        for number, split in split_of.items():
            known = {
                ("set", "split"): split,
                ("set", "subset"): "small",
                ("track", "duration"): str(round(seconds)),
                ("track", "genre_top"): style_of(number).name,
                ("track", "genres"): "[]",
                ("track", "genres_all"): "[]",
                ("track", "tags"): "[]",
                ("track", "title"): f"{style_of(number).name} {number}",
            }
            writer.writerow([number, *(known.get(column, "") for column in columns)])
