"""The front end against torchaudio's transform, and decibels against torchaudio's conversion."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchaudio.functional import amplitude_to_DB
from torchaudio.transforms import MelSpectrogram

from descant.inputs.mel import LogMel

SIZES: list[dict[str, Any]] = [
    {},
    {"rate_hz": 22_050, "bands": 64, "n_fft": 1024, "hop": 256, "mel_scale": "slaney"},
    {"rate_hz": 8_000, "bands": 20, "n_fft": 400, "hop": 160},
    {"rate_hz": 44_100, "bands": 96, "n_fft": 2048, "hop": 441},
    {"rate_hz": 11_025, "bands": 40, "n_fft": 512, "hop": 128},
]


def clips(seed: int, samples: int, clips: int = 2) -> torch.Tensor:
    """Noise and tones of very different loudness, (B, N)."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / 16_000
    tones = np.sin(2 * np.pi * rng.uniform(50, 4000, (clips, 1)) * time)
    loudness = 10.0 ** rng.uniform(-3, 0, (clips, 1))
    return torch.from_numpy((loudness * (tones + 0.3 * rng.normal(size=(clips, samples)))).astype(np.float32))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_power_is_torchaudios(size: dict[str, Any]) -> None:
    mel = LogMel(**size)
    audio_BN = clips(0, 30_000)
    reference = MelSpectrogram(
        mel.rate_hz, mel.n_fft, hop_length=mel.hop, n_mels=mel.bands, mel_scale=size.get("mel_scale", "htk")
    )
    expected_BTM = reference(audio_BN).transpose(1, 2)
    found_BTM = mel.power(audio_BN)
    assert found_BTM.shape == expected_BTM.shape == (2, mel.frames(30_000), mel.bands)
    for found, expected in zip(found_BTM, expected_BTM, strict=True):
        assert float((found - expected).abs().max()) <= 1e-6 * float(expected.max())


@settings(max_examples=15, deadline=None)
@given(st.integers(1025, 20_000), st.integers(0, 10**6))
def test_power_is_torchaudios_for_any_length(samples: int, seed: int) -> None:
    audio_BN = clips(seed, samples, clips=1)
    expected = MelSpectrogram(16_000, 2048, hop_length=512, n_mels=128)(audio_BN).transpose(1, 2)
    found = LogMel().power(audio_BN)
    assert found.shape[1] == LogMel().frames(samples)
    assert float((found - expected).abs().max()) <= 1e-6 * float(expected.max())


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SIZES), st.integers(1, 9), st.integers(-3, 3), st.integers(1, 2))
def test_blocks_of_frames_give_the_numbers_of_the_whole(
    size: dict[str, Any], blocks: int, beyond: int, count: int
) -> None:
    mel = LogMel(**size)
    audio_BN = clips(blocks, blocks * 256 * mel.hop // 3 + beyond, count)
    half = mel.n_fft // 2
    padded_BN = torch.nn.functional.pad(audio_BN[:, None], (half, half), mode="reflect")[:, 0]
    spectrum_BTF = torch.fft.rfft(padded_BN.unfold(1, mel.n_fft, mel.hop) * mel.window_N)
    power_BTF = spectrum_BTF.real.square() + spectrum_BTF.imag.square()
    expected_BTM = power_BTF @ mel.bank_MF.T
    torch.testing.assert_close(mel.power(audio_BN), expected_BTM, rtol=1e-5, atol=1e-7 * float(expected_BTM.max()))


_LONG_CLIP = """
import io, resource
import numpy as np, soundfile
from descant.data.description import Field
from descant.inputs import MelInput

buffer = io.BytesIO()
with soundfile.SoundFile(buffer, "w", 16_000, 1, format="FLAC") as clip:
    for _ in range(30):
        clip.write(np.zeros(60 * 16_000, np.float32))
mel = MelInput("mel", {"audio": Field("audio", "flac")}, where="loader")
mel.train_view(np.zeros(16_000, np.float32), np.random.default_rng(0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mel.train_view(mel.decode(buffer.getvalue()), np.random.default_rng(0))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_half_an_hour_takes_little_memory_beside_its_waveform() -> None:
    grown_kib = int(subprocess.run([sys.executable, "-c", _LONG_CLIP], check=True, capture_output=True).stdout)
    waveform_kib = 30 * 60 * 16_000 * 4 // 1024
    assert grown_kib < 2.5 * waveform_kib


def test_decibels_are_relative_to_each_clips_loudest_bin() -> None:
    mel, audio_BN = LogMel(), clips(1, 30_000, clips=3)
    power_BTM = mel.power(audio_BN)
    for clip, power_TM in zip(mel(audio_BN), power_BTM, strict=True):
        reference_db = float(power_TM.max().log10())
        decibels = amplitude_to_DB(power_TM[None], 10.0, amin=1e-10, db_multiplier=reference_db, top_db=80.0)[0]
        torch.testing.assert_close(clip, (decibels + 40.0) / 40.0, rtol=0, atol=2e-6)
        assert float(clip.max()) == 1.0
        assert float(clip.min()) >= -1.0


def test_loudness_does_not_matter_and_clips_do_not_touch_each_other() -> None:
    mel, audio_BN = LogMel(), clips(2, 20_000, clips=2)
    both = mel(torch.cat([audio_BN, 0.01 * audio_BN]))
    torch.testing.assert_close(both[:2], both[2:], rtol=0, atol=1e-4)
    torch.testing.assert_close(both[1], mel(audio_BN[1:])[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 500, 1024, 1025])
def test_short_and_silent_clips_are_finite(samples: int) -> None:
    mel = LogMel()
    for audio_BN in (torch.zeros(1, samples), torch.ones(1, samples)):
        frames_BTM = mel(audio_BN)
        assert frames_BTM.isfinite().all()
        assert frames_BTM.abs().max() <= 1.0
