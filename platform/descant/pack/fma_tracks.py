"""Reads FMA's ``tracks.csv``: which clips there are, of which genre and split.

The table has two header rows (``set,split``; ``set,subset``; ``track,genre_top``; in FMA's own 49 columns more) and a
third with the index's name.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from descant.errors import UserError
from descant.pack.record import LeftOut
from descant.pack.splits import stratified

COLUMNS = (("set", "split"), ("set", "subset"), ("track", "genre_top"))
SPLITS = {"training": "train", "validation": "validation", "test": "test"}
# The subsets are nested, and a track is listed under the smallest that holds it.
SUBSETS = {"small": ("small",), "medium": ("small", "medium"), "large": ("small", "medium", "large")}
_LONGEST_CELL = 2**24  # biographies are longer than what csv allows by itself


@dataclass(frozen=True)
class Track:
    """One row of tracks.csv whose clip exists; ``split`` is empty where the table has none."""

    number: int
    path: Path
    split: str
    genre: str

    @property
    def key(self) -> str:
        """The track's key in the shards."""
        return f"{self.number:06d}"


def check_source(source: Path) -> None:
    """Refuse a folder without clips, and say which one beside, above or below it was probably meant."""
    if not source.is_dir():
        raise UserError(f"there is no folder {str(source)!r}: give the folder that holds 000/000002.mp3 and so on")
    if _has_clips(source):
        return
    near = [source.resolve().parent, *_folders(source), *_folders(source.resolve().parent)]
    meant = next((folder for folder in near if _has_clips(folder)), None)
    hint = f"did you mean {str(meant)!r}?" if meant else "give the folder that holds 000/000002.mp3 and so on"
    raise UserError(f"the folder {str(source)!r} holds no clips NNN/NNNNNN.mp3: {hint}")


def _has_clips(folder: Path) -> bool:
    return any(part.name.isdecimal() and any(part.glob(f"{part.name}*.mp3")) for part in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and os.access(path, os.R_OK))


def find_tracks(source: Path) -> Path:
    """Return the tracks.csv that belongs to a folder of clips."""
    parent = source.resolve().parent
    places = (source, source / "fma_metadata", parent / "fma_metadata", parent)
    for place in places:
        if (place / "tracks.csv").is_file():
            return place / "tracks.csv"
    raise UserError(f"there is no tracks.csv in {str(source)!r} nor in fma_metadata beside it: name it with --tracks")


def read_tracks(table: Path, source: Path, subset: str | None) -> tuple[list[Track], list[LeftOut]]:
    """Return the tracks whose clips exist, by number, and what is left out with the reasons.

    A track whose clip is missing is left out only where a ``subset`` says that it should be there.
    """
    if subset is not None and subset not in SUBSETS:
        raise UserError(f"there is no FMA subset {subset!r}: allowed are {', '.join(SUBSETS)}")
    tracks: dict[int, Track] = {}
    left_out: list[LeftOut] = []
    listed = set()
    for number, split, row_subset, genre in _rows(table):
        listed.add(f"{number:06d}")
        if subset is not None and row_subset not in SUBSETS[subset]:
            continue
        name = f"{number:06d}"
        track = Track(number, source / name[:-3] / f"{name}.mp3", SPLITS.get(split, ""), genre)
        if not track.path.is_file():
            if subset is not None:
                left_out.append({"key": track.key, "reason": "there is no clip"})
        elif not genre:
            left_out.append({"key": track.key, "reason": "the track has no genre_top"})
        elif number in tracks:
            left_out.append({"key": track.key, "reason": "the track has a second row in tracks.csv"})
        else:
            tracks[number] = track
    unlisted = sorted(path.stem for path in source.glob("[0-9]*/[0-9]*.mp3") if path.stem not in listed)
    left_out += [{"key": key, "reason": "the clip has no row in tracks.csv"} for key in unlisted]
    return [tracks[number] for number in sorted(tracks)], left_out


def with_splits(tracks: list[Track], split: str, seed: int) -> list[Track]:
    """Return the tracks with the split that was asked for: ``fma``, ``random`` or ``auto``.

    Raises:
        UserError: a track has no split, a split is empty, or a genre has no training track.
    """
    unknown = [track for track in tracks if not track.split]
    if split == "fma" and unknown:
        raise UserError(
            f"{len(unknown)} tracks have no split in tracks.csv, the first is {unknown[0].key}: "
            f"use --split random, or complete the column"
        )
    if split == "random" or (split == "auto" and unknown):
        chosen = stratified([track.genre for track in tracks], seed)
        tracks = [replace(track, split=name) for track, name in zip(tracks, chosen, strict=True)]
    for name in ("train", "validation"):
        if not any(track.split == name for track in tracks):
            raise UserError(f"none of the {len(tracks)} clips is in the split {name!r}: use --split random")
    untaught = {track.genre for track in tracks} - {track.genre for track in tracks if track.split == "train"}
    if untaught:
        raise UserError(
            f"no training clip is of the genre {', '.join(map(repr, sorted(untaught)))}: add some, leave the genre "
            f"out of tracks.csv, or use --split random"
        )
    return tracks


def _rows(table: Path) -> Iterator[tuple[int, str, str, str]]:
    """Yield each track's number, split, subset and genre."""
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            columns = _columns(table, next(rows, []), next(rows, []))
            for row in rows:
                if not row or not row[0].isdecimal():
                    continue  # the third header row, which names the index
                if len(row) <= max(columns):
                    raise UserError(f"the track {row[0]} in {str(table)!r} lacks columns: the table is cut off")
                split, subset, genre = (row[column].strip() for column in columns)
                yield int(row[0]), split, subset, genre
    except OSError as error:
        raise UserError(f"{str(table)!r} cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{str(table)!r} is no table as FMA's tracks.csv: {error}") from error


def _columns(table: Path, first: Sequence[str], second: Sequence[str]) -> list[int]:
    pairs = [(group.strip(), name.strip()) for group, name in zip(first, second, strict=False)]
    missing = [f"({group}, {name})" for group, name in COLUMNS if (group, name) not in pairs]
    if missing:
        raise UserError(
            f"{str(table)!r} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} in its two header "
            f"rows: give FMA's own tracks.csv"
        )
    return [pairs.index(column) for column in COLUMNS]
