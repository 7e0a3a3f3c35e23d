"""Augmentation of log-mel frames, in training: masks, gain and noise.

Shapes: B clips, T frames, M bands, N samples of audio, K masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from descant.errors import UserError
from descant.inputs.augment import check_pair, check_range
from descant.lazy import torch

SILENCE = -1.0
DB_PER_UNIT = 40.0  # mels span 80 dB in [-1, 1]
MOST_MASKS = 100


@dataclass(frozen=True)
class MelAugment:
    """Masks of frames and of bands (SpecAugment, Park et al., Interspeech 2019), gain and noise.

    What is drawn in the loader is carried in the view as the parts ``gain_db``, ``time_masks`` and
    ``frequency_masks``, as far as they are on, so that it may be applied there or on the device.

    Attributes:
        time_masks: how many stretches of frames become silence.
        time_width: the most frames of each; its width is drawn from 0 on.
        frequency_masks: how many stretches of bands become silence.
        frequency_width: the most bands of each.
        gain_db: crops become louder or softer by up to so many decibels; silence stays, mels stay within [-1, 1].
        snr_db: least and most decibels between a clip of audio and white noise added to it; null: none.
    """

    time_masks: int = 0
    time_width: int = 0
    frequency_masks: int = 0
    frequency_width: int = 0
    gain_db: float = 0.0
    snr_db: tuple[float, float] | None = None

    def check(self, where: str, frames: int, bands: int, ready: bool) -> None:
        """Raise a UserError for what cannot be done to crops (``frames``, ``bands``), made here or ``ready``."""
        for axis, masks, width, size in (
            ("time", self.time_masks, self.time_width, frames),
            ("frequency", self.frequency_masks, self.frequency_width, bands),
        ):
            check_range(f"{where}.{axis}_masks", masks, 0, MOST_MASKS, "masks")
            if (masks > 0) != (width > 0):
                raise UserError(
                    f"{where} has {axis}_masks={masks} and {axis}_width={width}: give both from 1, or neither"
                )
            check_range(f"{where}.{axis}_width", width, 0, size, "frames" if axis == "time" else "bands")
        check_range(f"{where}.gain_db", self.gain_db, 0, 80, "dB")
        if self.snr_db is not None:
            check_pair(f"{where}.snr_db", self.snr_db, -20, 100, "dB")
            if ready:
                raise UserError(f"{where}.snr_db adds noise to audio, but the data set holds ready mels: take it out")

    def add_noise(self, audio_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the clip with white noise at a drawn distance below its mean power."""
        if self.snr_db is None:
            return audio_N
        snr_db = rng.uniform(*self.snr_db)
        level = float(np.sqrt(np.square(audio_N).mean())) * 10.0 ** (-snr_db / 20.0)
        noise_N = rng.standard_normal(audio_N.shape[0], np.float32)
        noisy_N: np.ndarray = audio_N + np.float32(level) * noise_N
        return noisy_N

    def draw(self, shape: tuple[int, int], rng: np.random.Generator | None) -> dict[str, np.ndarray]:
        """Return what to do to one crop of ``shape`` (T, M); without ``rng`` the same parts, which do nothing."""
        parts: dict[str, np.ndarray] = {}
        if self.gain_db:
            gain_db = rng.uniform(-self.gain_db, self.gain_db) if rng else 0.0
            parts["gain_db"] = np.asarray(gain_db, np.float32)
        if self.time_masks:
            parts["time_masks"] = _draw_masks(self.time_masks, self.time_width, shape[0], rng)
        if self.frequency_masks:
            parts["frequency_masks"] = _draw_masks(self.frequency_masks, self.frequency_width, shape[1], rng)
        return parts

    @staticmethod
    def apply(mel_TM: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return a crop changed as drawn, as a copy."""
        changed_TM: np.ndarray = mel_TM.copy()
        if "gain_db" in parts:
            mel_TM = mel_TM.astype(np.float32)  # sums of half floats take ten times as long
            louder_TM = (mel_TM + parts["gain_db"] / np.float32(DB_PER_UNIT)).clip(SILENCE, -SILENCE)
            changed_TM = np.where(mel_TM > SILENCE, louder_TM, mel_TM)
        for start, stop in parts.get("time_masks", ()):
            changed_TM[start:stop] = SILENCE
        for start, stop in parts.get("frequency_masks", ()):
            changed_TM[:, start:stop] = SILENCE
        return changed_TM

    @staticmethod
    def apply_to_batch(mel_BTM: torch.Tensor, parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return what ``apply`` gives for each crop of a batch, on its device."""
        if "gain_db" in parts:
            louder_BTM = (mel_BTM + parts["gain_db"][:, None, None] / DB_PER_UNIT).clamp(SILENCE, -SILENCE)
            mel_BTM = torch.where(mel_BTM > SILENCE, louder_BTM, mel_BTM)
        for name, axis in (("time_masks", 1), ("frequency_masks", 2)):
            if name in parts:
                start_BK1, stop_BK1 = parts[name][..., :1], parts[name][..., 1:]
                place = torch.arange(mel_BTM.shape[axis], device=mel_BTM.device)
                masked = ((place >= start_BK1) & (place < stop_BK1)).any(1)
                mel_BTM = mel_BTM.masked_fill(masked.unsqueeze(3 - axis), SILENCE)
        return mel_BTM


def _draw_masks(count: int, most: int, size: int, rng: np.random.Generator | None) -> np.ndarray:
    """Return [start, stop) of each mask, (K, 2): the width uniform in 0 to ``most``, the place uniform."""
    if rng is None:
        return np.zeros((count, 2), np.int64)
    width_K = rng.integers(0, most, count, endpoint=True)
    start_K = rng.integers(0, size - width_K, count, endpoint=True)
    return np.stack([start_K, start_K + width_K], axis=1)
