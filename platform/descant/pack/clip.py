"""Audio as it is stored: FLAC at one rate, or ready mels.

Shapes: N samples of mono audio, T frames, M mel bands.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from descant.data.decode import decode_audio
from descant.data.description import Field
from descant.errors import UserError
from descant.inputs.resample import resample
from descant.pack.record import PackedSample


@dataclass(frozen=True)
class Clips:
    """How clips are stored.

    Attributes:
        rate_hz: of the FLAC, mono.
        mels: store float16 log-mels (T, 128) instead of FLAC.
        min_seconds: shorter clips are left out.
    """

    rate_hz: int = 16_000
    mels: bool = False
    min_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 1_000 <= self.rate_hz <= 384_000:
            raise UserError(f"rate_hz is {self.rate_hz}: give 1,000 to 384,000 Hz, such as 16000")
        if not 0 <= self.min_seconds < float("inf"):
            raise UserError(f"min_seconds is {self.min_seconds}: give seconds from 0")

    def fields(self) -> dict[str, Field]:
        """Return the input that the clips become."""
        if self.mels:
            return {"mel": Field("array", "npy", rate_hz=self.rate_hz)}
        return {"audio": Field("audio", "flac", rate_hz=self.rate_hz)}

    def encode(self, content: bytes, labels: Mapping[str, Any]) -> PackedSample:
        """Return a sample of a FLAC, WAV, MP3 or Ogg file; a ValueError says why there is none."""
        audio_N, stored_hz = decode_audio(content)
        seconds = audio_N.size / stored_hz
        if seconds < self.min_seconds:
            raise ValueError(f"too short: {seconds:.1f} s, at least {self.min_seconds:g} s are needed")
        with _one_thread():
            audio_N = resample(audio_N, stored_hz, self.rate_hz)
            if self.mels:
                return PackedSample({"npy": _mel(audio_N, self.rate_hz)}, labels, seconds)
            return PackedSample({"flac": _flac(audio_N, self.rate_hz)}, labels, seconds)


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
