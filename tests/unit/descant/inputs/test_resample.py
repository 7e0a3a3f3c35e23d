"""Resampling against torchaudio's, in blocks too, and clips that it would take too much for."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import torch
from torchaudio import functional

from descant.data.description import Field
from descant.inputs import MelInput
from descant.inputs.resample import resample
from descant.pack.clip import Clips


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).normal(size=samples).astype(np.float32)


@pytest.mark.parametrize(
    ("stored_hz", "rate_hz", "samples"),
    [
        (44_100, 16_000, 44_117),
        (22_050, 16_000, 1),
        (8_000, 44_100, 8_001),
        (16_000, 16_000, 50),
        (48_000, 16_000, 9_000_001),  # three blocks
        (8_000, 22_050, 4_000_000),  # as many
    ],
)
def test_it_is_torchaudios(stored_hz: int, rate_hz: int, samples: int) -> None:
    audio_N = noise(samples)
    expected_N = functional.resample(torch.from_numpy(audio_N), stored_hz, rate_hz).numpy()
    np.testing.assert_allclose(resample(audio_N, stored_hz, rate_hz), expected_N, rtol=0, atol=1e-6)


@pytest.mark.parametrize("stored_hz", [44_101, 96_001, 2**31 - 1])
def test_a_rate_without_a_common_divisor_is_a_value_error(stored_hz: int) -> None:
    with pytest.raises(ValueError, match=f"the clip has {stored_hz} Hz, which cannot be brought to 16000 Hz"):
        resample(noise(8_000), stored_hz, 16_000)


def test_such_a_clip_is_a_bad_sample_and_left_out_of_a_pack() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(8_000), 44_101, format="WAV")
    mel = MelInput("mel", {"audio": Field("audio", "wav")})
    for decode in (mel.decode, lambda member: Clips().encode(member, {})):
        with pytest.raises(ValueError, match="44101 Hz"):
            decode(buffer.getvalue())


def test_a_clip_that_would_become_too_long_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="more than the allowed 134,217,728 samples"):
        resample(noise(10_000), 1, 16_000)
