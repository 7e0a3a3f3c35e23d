"""What exported programs take: the numbers that the run's own inputs make of the same file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from descant.data.description import Field
from descant.export.program import Program, trace
from descant.inputs import ArrayInput, ImageInput, MelInput
from descant.inputs.clip_mel import ClipMel
from descant.model import MultiTaskModel
from descant.schedules import Constant
from descant.sharing import HardSharing
from descant.trunks import build_trunk
from evaluation_case import Genre

AUDIO = {"audio": Field("audio", "flac", rate_hz=8000), "genre": Field("class", classes=("a", "b", "c"))}
SMALL: dict[str, Any] = {"rate_hz": 8000, "bands": 20, "n_fft": 400, "hop": 160}


def clips(samples: int, count: int = 2) -> np.ndarray:
    """Tones that rise, with noise, (B, N)."""
    time_N = np.arange(samples) / 8000
    rng = np.random.default_rng(samples)
    tones = [np.sin(2 * np.pi * (200 + 300 * clip + 150 * time_N) * time_N) for clip in range(count)]
    noise = 0.1 * rng.normal(size=(count, samples))
    return (0.5 * np.stack(tones) + noise).astype(np.float32)


@pytest.mark.parametrize("views", [1, 2, 5])
@pytest.mark.parametrize("spare_samples", [0, 1, 159, 160, 320, 5000, 12_345])
def test_a_waveform_becomes_the_crops_of_an_evaluation(views: int, spare_samples: int) -> None:
    mel = MelInput("mel", AUDIO, crop_frames=30, views=views, where="loader", **SMALL)
    front = mel.front()
    assert isinstance(front.apply, ClipMel) and front.shape == ("samples",) and front.views == views
    assert front.about["rate_hz"] == 8000
    audio_BN = clips(front.least["samples"] + spare_samples)
    views_of = [view.arrays["value"] for audio_N in audio_BN for view in mel.evaluation_views(audio_N)]
    found = front.apply(torch.from_numpy(audio_BN))
    torch.testing.assert_close(found, torch.from_numpy(np.stack(views_of)), rtol=0, atol=2e-5)


def test_a_program_takes_waveforms_of_any_length_and_averages_its_crops() -> None:
    mel = MelInput("mel", AUDIO, crop_frames=12, views=3, where="loader", **SMALL)
    shapes = {"mel": mel.shape}
    genre = Genre("genre", AUDIO, shapes)
    torch.manual_seed(0)
    sharing = HardSharing(lambda: build_trunk("bilstm", {"hidden": [4]}, shapes), {"genre": "pooled"}, shapes)
    model = MultiTaskModel(sharing, {"genre": genre.head(sharing.shapes["genre"])}, {"genre": Constant(1.0)}).eval()
    made = Program(model, {"genre": genre}, {"mel": mel.front()})
    again = trace(made).module()
    for batch, samples in ((1, 1760), (3, 8000), (2, 20_001)):
        audio_BN = clips(samples, batch)
        found = again({"mel": torch.from_numpy(audio_BN)})["genre"]
        with torch.no_grad():
            assert torch.equal(found, made({"mel": torch.from_numpy(audio_BN)})["genre"])
            for row, audio_N in enumerate(audio_BN):
                stacked = np.stack([view.arrays["value"] for view in mel.evaluation_views(audio_N)])
                answer = genre.predict(model({"mel": torch.from_numpy(stacked)})["genre"]).mean(0)
                torch.testing.assert_close(found[row], answer, rtol=0, atol=1e-5)


def test_pixels_are_normalised_inside() -> None:
    image = ImageInput("image", {"image": Field("image", "png")}, size=[4, 6], mean=[0.1, 0.2, 0.3], std=0.5)
    front = image.front()
    pixels = torch.randint(0, 256, (2, 4, 6, 3), dtype=torch.uint8)
    assert front.shape == (4, 6, 3) and front.dtype == "uint8" and front.apply is not None
    assert torch.equal(front.apply(pixels), image.finish({"value": pixels}))
    assert front.about["done_inside"] == {"divided_by": 255, "mean": [0.1, 0.2, 0.3], "std": 0.5}


def test_stored_mels_and_arrays_are_taken_as_they_are() -> None:
    stored = {"mel": Field("array", "npy", shape=(40, 8), rate_hz=22_050)}
    for front in (MelInput("mel", stored, crop_frames=30, bands=8).front(), ArrayInput("mel", stored).front()):
        assert front.apply is None and front.views == 1 and front.dtype == "float32"
    assert MelInput("mel", stored, crop_frames=30, bands=8).front().about["mel"]["rate_hz"] == 22_050
