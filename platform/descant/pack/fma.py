"""``descant pack fma``: the Free Music Archive's layout (Defferrard et al., ISMIR 2017) into shards.

Clips are ``NNN/NNNNNN.mp3``, their splits and genres stand in ``tracks.csv``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from descant.data.description import Field
from descant.errors import UserError
from descant.pack.clip import Clips
from descant.pack.files import StoredFile
from descant.pack.fma_tracks import check_source, find_tracks, read_tracks, with_splits
from descant.pack.packing import packer
from descant.pack.record import Format, PackedSample, Plan, RawRecord


@dataclass(frozen=True)
class Fma(Format):
    """A folder of clips with the label ``genre``.

    Attributes:
        tracks: tracks.csv; looked for in the source and in ``fma_metadata`` beside it if None.
        subset: small, medium or large; every track whose clip is there if None.
        split: ``fma`` takes the csv's own, ``random`` a seeded stratified 70/10/20; ``auto`` the csv's where every
            track has one.
        rate_hz: of the FLAC, mono.
        mels: store float16 log-mels (T, 128) instead of FLAC.
        min_seconds: shorter clips are left out, as are those that do not decode.
    """

    tracks: Path | None = None
    subset: str | None = None
    split: Literal["auto", "fma", "random"] = "auto"
    rate_hz: int = 16_000
    mels: bool = False
    min_seconds: float = 5.0
    name: ClassVar[str] = "fma"

    def plan(self, source: Path, seed: int, scratch: Path) -> Plan:
        """Read tracks.csv; a UserError when it or a column is missing, or there is no clip."""
        clips = Clips(self.rate_hz, self.mels, self.min_seconds)
        check_source(source)
        table = self.tracks or find_tracks(source)
        found, left_out = read_tracks(table, source, self.subset)
        if not found:
            raise UserError(
                f"none of the tracks in {str(table)!r} has a genre and a clip NNN/NNNNNN.mp3 in {str(source)!r}"
            )
        found = with_splits(found, self.split, seed)
        genres = tuple(sorted({track.genre for track in found}))
        records = [
            RawRecord(track.key, track.split, (StoredFile(track.path),), {"genre": genres.index(track.genre)})
            for track in found
        ]
        fields = {**clips.fields(), "genre": Field("class", classes=genres)}
        return Plan(fields, records, partial(_encode, clips), left_out)


def _encode(clips: Clips, record: RawRecord) -> PackedSample:
    return clips.encode(record.read(), record.labels)


pack_fma = packer(Fma)
