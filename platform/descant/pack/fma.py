"""``descant pack fma``: the Free Music Archive's layout (Defferrard et al., ISMIR 2017) into shards.

Clips are ``NNN/NNNNNN.mp3``; ``tracks.csv`` has two header rows (``set,split``; ``set,subset``; ``track,genre_top``)
and a third with the index's name.
"""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from descant.data.decode import decode_audio
from descant.data.description import Description, Field
from descant.errors import UserError
from descant.pack.parallel import Progress, in_order
from descant.pack.splits import stratified
from descant.pack.writer import SHARD_SIZE, DataSetWriter

COLUMNS = (("set", "split"), ("set", "subset"), ("track", "genre_top"))
SPLITS = {"training": "train", "validation": "validation", "test": "test"}
# The subsets are nested: full holds large holds medium holds small.
SUBSETS = {"small": ("small",), "medium": ("small", "medium"), "large": ("small", "medium", "large")}


@dataclass(frozen=True)
class Track:
    """One row of tracks.csv whose clip exists."""

    number: int
    path: Path
    split: str
    genre: str


@dataclass(frozen=True)
class _Clip:
    """A packed clip, or the reason why it is left out."""

    key: str
    member: bytes = b""
    reason: str = ""


def pack_fma(
    source: Path,
    out: Path,
    *,
    tracks: Path | None = None,
    subset: str | None = None,
    split: Literal["auto", "fma", "random"] = "auto",
    rate_hz: int = 16_000,
    mels: bool = False,
    min_seconds: float = 5.0,
    seed: int = 0,
    jobs: int | None = None,
    shard_size: int = SHARD_SIZE,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Description:
    """Pack an FMA folder into a data set with the label ``genre``.

    Args:
        source: the folder of clips.
        out: the data set to be made.
        tracks: tracks.csv; looked for in ``source`` and in ``fma_metadata`` beside it if None.
        subset: small, medium or large; every track whose clip is there if None.
        split: ``fma`` takes the csv's own, ``random`` a seeded stratified 70/10/20; ``auto`` the csv's where every
            track has one.
        rate_hz: of the FLAC, mono.
        mels: store float16 log-mels (T, 128) instead of FLAC.
        min_seconds: shorter clips are left out, as are those that do not decode; all are listed in the provenance.
        seed: of the random split.
        jobs: processes; all cores if None.
        shard_size: bytes of a shard.
        overwrite: replace what is in ``out``.
        on_progress: called with (clips done, clips in all).

    Raises:
        UserError: no tracks.csv, a column missing, no clip, an empty split, a class without training clips.
    """
    table = tracks or _find_tracks(source)
    found, left_out = _read_tracks(table, source, subset)
    if not found:
        raise UserError(f"none of the tracks in {str(table)!r} has a clip NNN/NNNNNN.mp3 in {str(source)!r}")
    found = _with_splits(found, split, seed)
    genres = tuple(sorted({track.genre for track in found}))
    fields = {
        "mel" if mels else "audio": _input_field(mels, rate_hz),
        "genre": Field("class", classes=genres),
    }
    encode = functools.partial(_encode, rate_hz=rate_hz, mels=mels, min_seconds=min_seconds)
    with DataSetWriter(out, "fma", fields, shard_size=shard_size, overwrite=overwrite) as writer:
        extension = "npy" if mels else "flac"
        for track, clip in zip(found, in_order(encode, found, jobs, on_progress), strict=True):
            if clip.reason:
                left_out.append({"key": clip.key, "reason": clip.reason})
            else:
                writer.add(track.split, clip.key, {extension: clip.member}, {"genre": genres.index(track.genre)})
        options = {"rate_hz": rate_hz, "mels": mels, "subset": subset, "split": split, "min_seconds": min_seconds}
        return writer.finish(
            {
                "command": "descant pack fma",
                "source": source.name,
                "seed": seed,
                "options": options,
                "left_out": left_out,
            }
        )


def _input_field(mels: bool, rate_hz: int) -> Field:
    if mels:
        return Field("array", "npy", rate_hz=rate_hz)
    return Field("audio", "flac", rate_hz=rate_hz)


def _find_tracks(source: Path) -> Path:
    if not source.is_dir():
        raise UserError(f"there is no folder {str(source)!r}: give the folder that holds 000/000002.mp3 and so on")
    places = [source / "tracks.csv", source.parent / "fma_metadata" / "tracks.csv", source.parent / "tracks.csv"]
    for place in places:
        if place.is_file():
            return place
    raise UserError(f"there is no tracks.csv in {str(source)!r} nor in fma_metadata beside it: name it with --tracks")


def _read_tracks(table: Path, source: Path, subset: str | None) -> tuple[list[Track], list[dict[str, str]]]:
    """Return the tracks whose clips exist, by number, and what is left out."""
    if subset is not None and subset not in SUBSETS:
        raise UserError(f"there is no FMA subset {subset!r}: allowed are {', '.join(SUBSETS)}")
    left_out: list[dict[str, str]] = []
    tracks = []
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        columns = _columns(table, next(rows, []), next(rows, []))
        for row in rows:
            if not row or not row[0].isdigit():
                continue  # the third header row, which names the index
            number = int(row[0])
            split, row_subset, genre = (row[column] for column in columns)
            if subset is not None and row_subset not in SUBSETS[subset]:
                continue
            path = source / f"{number // 1000:03d}" / f"{number:06d}.mp3"
            if not path.is_file():
                if subset is not None:
                    left_out.append({"key": f"{number:06d}", "reason": "there is no clip"})
            elif not genre:
                left_out.append({"key": f"{number:06d}", "reason": "the track has no genre_top"})
            else:
                tracks.append(Track(number, path, SPLITS.get(split, ""), genre))
    return sorted(tracks, key=lambda track: track.number), left_out


def _columns(table: Path, first: Sequence[str], second: Sequence[str]) -> list[int]:
    pairs = list(zip(first, second, strict=False))
    missing = [f"({group}, {name})" for group, name in COLUMNS if (group, name) not in pairs]
    if missing:
        raise UserError(
            f"{str(table)!r} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} in its two header "
            f"rows: give FMA's own tracks.csv"
        )
    return [pairs.index(column) for column in COLUMNS]


def _with_splits(tracks: list[Track], split: str, seed: int) -> list[Track]:
    unknown = [track for track in tracks if not track.split]
    if split == "fma" and unknown:
        raise UserError(
            f"{len(unknown)} tracks have no split in tracks.csv, the first is {unknown[0].number:06d}: "
            f"use --split random, or complete the column"
        )
    if split == "fma" or (split == "auto" and not unknown):
        return tracks
    splits = stratified([track.genre for track in tracks], seed)
    return [Track(track.number, track.path, chosen, track.genre) for track, chosen in zip(tracks, splits, strict=True)]


def _encode(track: Track, rate_hz: int, mels: bool, min_seconds: float) -> _Clip:
    key = f"{track.number:06d}"
    try:
        audio_N, stored_hz = decode_audio(track.path.read_bytes())
    except (OSError, ValueError) as error:
        return _Clip(key, reason=str(error))
    seconds = audio_N.size / stored_hz
    if seconds < min_seconds:
        return _Clip(key, reason=f"too short: {seconds:.1f} s, at least {min_seconds:g} s are needed")
    audio_N = _resample(audio_N, stored_hz, rate_hz)
    return _Clip(key, _mel(audio_N, rate_hz) if mels else _flac(audio_N, rate_hz))


def _resample(audio_N: np.ndarray, stored_hz: int, rate_hz: int) -> np.ndarray:
    if stored_hz == rate_hz:
        return audio_N
    import torch
    from torchaudio.functional import resample

    resampled: Any = resample(torch.from_numpy(audio_N), stored_hz, rate_hz).numpy()
    return np.asarray(resampled)


def _flac(audio_N: np.ndarray, rate_hz: int) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(audio_N, -1.0, 1.0), rate_hz, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _mel(audio_N: np.ndarray, rate_hz: int) -> bytes:
    import torch

    from descant.inputs.mel import LogMel

    buffer = io.BytesIO()
    mel_TM = LogMel(rate_hz)(torch.from_numpy(audio_N)[None])[0]
    np.save(buffer, mel_TM.numpy().astype(np.float16))
    return buffer.getvalue()
