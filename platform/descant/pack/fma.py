"""``descant pack fma``: the Free Music Archive's layout (Defferrard et al., ISMIR 2017) into shards.

Clips are ``NNN/NNNNNN.mp3``, their splits and genres stand in ``tracks.csv``.
"""

from __future__ import annotations

import functools
import io
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from descant.data.decode import decode_audio
from descant.data.description import Description, Field
from descant.errors import UserError
from descant.pack.fma_tracks import Track, find_tracks, read_tracks, with_splits
from descant.pack.parallel import Progress, in_order
from descant.pack.writer import SHARD_SIZE, DataSetWriter

_USUAL = 0.9  # clips shorter than this share of the usual length are kept, but named


@dataclass(frozen=True)
class _Clip:
    """A packed clip, or the reason why it is left out."""

    member: bytes = b""
    seconds: float = 0.0
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
        min_seconds: shorter clips are left out, as are those that do not decode; all are listed in the provenance
            under ``left_out``, and under ``shorter`` those that are kept with less than 90 % of the usual length.
        seed: of the random split.
        jobs: processes; all cores if None.
        shard_size: bytes of a shard.
        overwrite: replace the data set in ``out``.
        on_progress: called with (clips done, clips in all).

    Raises:
        UserError: no tracks.csv, a column missing, no clip, an empty split, a class without training clips.
    """
    if not 1_000 <= rate_hz <= 384_000:
        raise UserError(f"rate_hz is {rate_hz}: give 1,000 to 384,000 Hz, such as 16000")
    table = tracks or find_tracks(source)
    found, left_out = read_tracks(table, source, subset)
    if not found:
        raise UserError(
            f"none of the tracks in {str(table)!r} has a genre and a clip NNN/NNNNNN.mp3 in {str(source)!r}"
        )
    found = with_splits(found, split, seed)
    genres = tuple(sorted({track.genre for track in found}))
    name, extension = ("mel", "npy") if mels else ("audio", "flac")
    fields = {name: Field("array" if mels else "audio", extension, rate_hz=rate_hz)}
    fields["genre"] = Field("class", classes=genres)
    encode = functools.partial(_encode, rate_hz=rate_hz, mels=mels, min_seconds=min_seconds)
    seconds: dict[str, float] = {}
    with DataSetWriter(out, "fma", fields, shard_size=shard_size, overwrite=overwrite) as writer:
        for track, clip in zip(found, in_order(encode, found, jobs, on_progress), strict=True):
            if clip.reason:
                left_out.append({"key": track.key, "reason": clip.reason})
                continue
            writer.add(track.split, track.key, {extension: clip.member}, {"genre": genres.index(track.genre)})
            seconds[track.key] = clip.seconds
        usual_s = statistics.median(seconds.values()) if seconds else 0.0
        writer.fields[name] = replace(fields[name], seconds=round(usual_s, 1))
        options = {"rate_hz": rate_hz, "mels": mels, "subset": subset, "split": split, "min_seconds": min_seconds}
        provenance = {"command": "descant pack fma", "source": source.resolve().name, "seed": seed, "options": options}
        return writer.finish({**provenance, "left_out": left_out, "shorter": _shorter(seconds, usual_s)})


def _shorter(seconds: dict[str, float], usual_s: float) -> list[dict[str, str]]:
    """Name the clips that are packed but hold less than the others, as those do that decode only in part."""
    return [
        {"key": key, "reason": f"{own_s:.1f} s of the usual {usual_s:.1f} s"}
        for key, own_s in seconds.items()
        if own_s < _USUAL * usual_s
    ]


def _encode(track: Track, rate_hz: int, mels: bool, min_seconds: float) -> _Clip:
    try:
        audio_N, stored_hz = decode_audio(track.path.read_bytes())
    except OSError as error:
        return _Clip(reason=f"the clip cannot be read: {error.strerror}")
    except ValueError as error:
        return _Clip(reason=str(error))
    seconds = audio_N.size / stored_hz
    if seconds < min_seconds:
        return _Clip(reason=f"too short: {seconds:.1f} s, at least {min_seconds:g} s are needed")
    with _one_thread():
        audio_N = _resample(audio_N, stored_hz, rate_hz)
        member = _mel(audio_N, rate_hz) if mels else _flac(audio_N, rate_hz)
    return _Clip(member, seconds)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch add up in the same order whatever the number of jobs is."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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
