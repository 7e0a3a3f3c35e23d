"""Masks, gain and noise of mels: their exact extents, and the same ones in the loader and on the device."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from descant.data.description import Field
from descant.data.order import sample_rng
from descant.errors import UserError
from descant.inputs import MelInput, View, inputs
from descant.inputs.mel_augment import MelAugment
from descant.loop.batches import _stack

AUDIO = {"audio": Field("audio", "flac", rate_hz=8000)}
MELS = {"mel": Field("array", "npy")}
SMALL: dict[str, Any] = {"rate_hz": 8000, "bands": 8, "n_fft": 256, "hop": 64}
MASKS = {"time_masks": 2, "time_width": 9, "frequency_masks": 1, "frequency_width": 3}


def batch_of(views: list[View]) -> dict[str, torch.Tensor]:
    return {part: torch.from_numpy(_stack([view.arrays[part] for view in views])) for part in views[0].arrays}


def clip(samples: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.2 * np.random.default_rng(samples).normal(size=samples).clip(-3, 3), 8000, format="FLAC")
    return buffer.getvalue()


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 12), st.integers(1, 4), st.integers(1, 4), st.data())
def test_masks_are_whole_stretches_of_silence_and_all_else_stays(
    seed: int, frames: int, bands: int, time_masks: int, frequency_masks: int, data: st.DataObject
) -> None:
    widths = data.draw(st.integers(1, frames)), data.draw(st.integers(1, bands))
    augment = MelAugment(time_masks, widths[0], frequency_masks, widths[1])
    augment.check("inputs.mel.augment", frames, bands, ready=True)
    parts = augment.draw((frames, bands), np.random.default_rng(seed))
    mel_TM = np.random.default_rng(seed).uniform(-0.9, 1, (frames, bands)).astype(np.float16)
    before = mel_TM.copy()
    masked = augment.apply(mel_TM, parts) == -1.0
    expected = np.zeros((frames, bands), bool)
    for name, count, width, axis in (
        ("time_masks", time_masks, widths[0], 0),
        ("frequency_masks", frequency_masks, widths[1], 1),
    ):
        assert parts[name].shape == (count, 2)
        for start, stop in parts[name]:
            assert 0 <= start <= stop <= expected.shape[axis] and stop - start <= width
            for place in range(start, stop):
                expected[(place,) if axis == 0 else (slice(None), place)] = True
    np.testing.assert_array_equal(masked, expected)
    np.testing.assert_array_equal(mel_TM, before), "what was decoded is not touched"
    on_device = augment.apply_to_batch(
        torch.from_numpy(np.stack([before, before])),
        {name: torch.from_numpy(np.stack([part, np.zeros_like(part)])) for name, part in parts.items()},
    )
    np.testing.assert_array_equal(on_device[0].numpy(), augment.apply(mel_TM, parts))
    np.testing.assert_array_equal(on_device[1].numpy(), before)


def test_widths_and_places_reach_both_ends_alike_often() -> None:
    parts = MelAugment(time_masks=1, time_width=2)
    drawn = [tuple(parts.draw((4, 1), np.random.default_rng(seed))["time_masks"][0].tolist()) for seed in range(3000)]
    counts = {mask: drawn.count(mask) for mask in set(drawn)}
    assert {mask for mask in counts if mask[1] - mask[0] == 2} == {(0, 2), (1, 3), (2, 4)}
    for width, places in ((0, 5), (1, 4), (2, 3)):
        found = [count for (start, stop), count in counts.items() if stop - start == width]
        assert len(found) == places
        assert min(found) > 0.7 * 1000 / places and max(found) < 1.3 * 1000 / places


def test_gain_is_in_decibels_and_leaves_silence() -> None:
    mel_TM = np.asarray([[-1.0, -0.9, 0.0, 0.95]], np.float16)
    louder = MelAugment.apply(mel_TM, {"gain_db": np.asarray(6.0, np.float32)})
    softer = MelAugment.apply(mel_TM, {"gain_db": np.asarray(-6.0, np.float32)})
    np.testing.assert_allclose(louder, [[-1.0, -0.75, 0.15, 1.0]], atol=1e-3)
    np.testing.assert_allclose(softer, [[-1.0, -1.0, -0.15, 0.80]], atol=1e-3)
    drawn = [float(MelAugment(gain_db=6).draw((1, 1), np.random.default_rng(n))["gain_db"]) for n in range(500)]
    assert -6 <= min(drawn) < -5.8 and 5.8 < max(drawn) <= 6


def test_noise_has_the_drawn_distance_from_the_clip() -> None:
    audio_N = np.sin(np.arange(40_000) / 7).astype(np.float32)
    noisy_N = MelAugment(snr_db=(20, 20)).add_noise(audio_N, np.random.default_rng(0))
    ratio = np.square(audio_N).mean() / np.square(noisy_N - audio_N).mean()
    assert 10 * np.log10(ratio) == pytest.approx(20, abs=0.1)
    assert noisy_N.dtype == np.float32
    assert MelAugment().add_noise(audio_N, np.random.default_rng(0)) is audio_N


def test_the_loader_and_the_device_make_the_same_batch_of_one_drawing() -> None:
    options = {**MASKS, "gain_db": 6.0, "snr_db": [5, 30]}
    frames = {}
    for where in ("loader", "device"):
        mel = MelInput("mel", AUDIO, crop_frames=40, where=where, augment=options, **SMALL)
        decoded = [mel.decode(clip(samples)) for samples in (9000, 9000, 1000)]
        views = [mel.train_view(audio_N, sample_rng(7, 1, number)) for number, audio_N in enumerate(decoded)]
        frames[where] = mel.finish(batch_of([*views, mel.evaluation_views(decoded[0])[0], mel.blank()]))
        assert frames[where].shape == (5, *mel.shape)
    torch.testing.assert_close(frames["loader"][:4], frames["device"][:4], rtol=0, atol=1e-5)
    assert torch.equal(frames["loader"][:2] == -1.0, frames["device"][:2] == -1.0)
    silent = (frames["device"][:2] == -1.0).all(2)
    assert silent.any() and not silent.all()
    plain = MelInput("mel", AUDIO, crop_frames=40, where="loader", **SMALL)
    shown = plain.finish(batch_of(plain.evaluation_views(decoded[0])))
    torch.testing.assert_close(frames["device"][3:4], shown, rtol=0, atol=1e-5)


def test_ready_mels_are_changed_in_training_only_and_as_their_generator_says() -> None:
    mel = MelInput("mel", MELS, crop_frames=20, bands=8, augment=MASKS)
    plain = MelInput("mel", MELS, crop_frames=20, bands=8)
    clip_TM = np.random.default_rng(0).uniform(-0.9, 1, (50, 8)).astype(np.float16)
    seen = [mel.train_view(clip_TM, sample_rng(0, 2, 5)).arrays["value"] for _ in range(2)]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert seen[0].dtype == np.float16
    clean = plain.train_view(clip_TM, sample_rng(0, 2, 5)).arrays["value"]
    np.testing.assert_array_equal(seen[0][seen[0] != -1], clean[seen[0] != -1]), "the crop is at the same place"
    np.testing.assert_array_equal(
        mel.evaluation_views(clip_TM)[0].arrays["value"], plain.evaluation_views(clip_TM)[0].arrays["value"]
    )
    assert mel.blank().arrays.keys() == mel.train_view(clip_TM, sample_rng(0, 0, 0)).arrays.keys()
    assert not mel.mirrors


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        ({"time_mask": 2}, r"inputs.mel.augment has no option 'time_mask': did you mean 'time_masks'"),
        ({"time_masks": 2}, r"has time_masks=2 and time_width=0: give both from 1, or neither"),
        ({"frequency_width": 2}, r"has frequency_masks=0 and frequency_width=2: give both"),
        ({"time_masks": 1, "time_width": 21}, r"augment.time_width is 21: give 0 to 20 frames"),
        ({"frequency_masks": -1, "frequency_width": 2}, r"frequency_masks is -1: give 0 to 100 masks"),
        ({"time_masks": 1.5, "time_width": 2}, r"'time_masks' of inputs.mel.augment is 1.5: give a whole number"),
        ({"gain_db": float("nan")}, r"gain_db is nan: give 0 to 80 dB"),
        ({"snr_db": [30, 10]}, r"snr_db is \[30, 10\]: give the least and the most, within -20 to 100 dB"),
        ({"snr_db": 10}, r"'snr_db' of inputs.mel.augment is 10: give a list of 2 numbers or null"),
        ({"snr_db": [10, 30]}, r"adds noise to audio, but the data set holds ready mels"),
        ([1], r"the option 'augment' of the input 'mel' is \[1\]: give a mapping or null"),
    ],
)
def test_what_cannot_be_done_to_mels_is_one_sentence(augment: Any, said: str) -> None:
    options = {"crop_frames": 20, "bands": 8, "augment": augment}
    with pytest.raises(UserError, match=said):
        inputs.build("mel", options, name="mel", fields=MELS)
