"""From a stored member to what the trunk sees: audio, images, arrays."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from descant.data.description import Field
from descant.errors import UserError
from descant.inputs import ArrayInput, ImageInput, Input, MelInput, View, inputs
from descant.inputs.mel import LogMel
from support import npy

AUDIO = {"audio": Field("audio", "flac", rate_hz=8000)}
MELS = {"mel": Field("array", "npy", shape=(40, 8))}
IMAGES = {"image": Field("image", "png")}
SMALL: dict[str, Any] = {"rate_hz": 8000, "bands": 8, "n_fft": 256, "hop": 64}


def batch_of(views: list[View]) -> dict[str, torch.Tensor]:
    return {part: torch.from_numpy(np.stack([view.arrays[part] for view in views])) for part in views[0].arrays}


def sound(samples: int, rate_hz: int = 8000, channels: int = 1, kind: str = "FLAC") -> bytes:
    rng = np.random.default_rng(samples)
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * rng.normal(size=(samples, channels)).clip(-3, 3), rate_hz, format=kind)
    return buffer.getvalue()


@given(st.integers(0, 60), st.integers(1, 50), st.integers(1, 6), st.floats(0, 1, exclude_max=True))
def test_a_crop_holds_the_clip_at_its_place_and_silence_around(
    frames: int, crop: int, views: int, place: float
) -> None:
    mel = MelInput("mel", MELS, crop_frames=crop, bands=2, views=views)
    clip_TM = np.arange(2 * frames, dtype=np.float32).reshape(frames, 2)

    class Fixed(np.random.Generator):
        def random(self, *args: Any, **options: Any) -> Any:
            return place

    seen = [mel.train_view(clip_TM, Fixed(np.random.PCG64(0))), *mel.evaluation_views(clip_TM), mel.blank()]
    for view in seen[:-1]:
        value_TM = view.arrays["value"]
        assert value_TM.shape == (crop, 2)
        content = value_TM[value_TM[:, 1] >= 0]
        assert len(content) == min(frames, crop), "nothing is lost but what does not fit"
        if len(content):
            start = int(content[0, 0]) // 2
            np.testing.assert_array_equal(content, clip_TM[start : start + len(content)])
        assert (value_TM[value_TM[:, 1] < 0] == -1.0).all()
    assert len(seen) == views + 2
    if views > 1 and frames >= crop:
        starts = [int(view.arrays["value"][0, 0]) // 2 for view in seen[1:-1]]
        assert (starts[0], starts[-1]) == (0, frames - crop)
        assert starts == sorted(starts)


def test_the_one_view_of_an_evaluation_is_the_middle_and_training_reaches_both_ends() -> None:
    mel = MelInput("mel", MELS, crop_frames=4, bands=1)
    clip_TM = np.arange(7, dtype=np.float16)[:, None]
    assert mel.evaluation_views(clip_TM)[0].arrays["value"][0, 0] in (1, 2)
    rng = np.random.default_rng(0)
    starts = {float(mel.train_view(clip_TM, rng).arrays["value"][0, 0]) for _ in range(100)}
    assert starts == {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize(("channels", "kind"), [(1, "FLAC"), (2, "WAV"), (1, "OGG"), (1, "MP3")])
def test_audio_becomes_mels_in_the_loader_or_on_the_device_alike(channels: int, kind: str) -> None:
    member = sound(12_000, 8000, channels, kind)
    frames = {}
    for where in ("loader", "device"):
        mel = MelInput("mel", AUDIO, crop_frames=100, where=where, views=2, **SMALL)
        decoded = mel.decode(member)
        views = [mel.train_view(decoded, np.random.default_rng(5)), *mel.evaluation_views(decoded)]
        frames[where] = mel.finish(batch_of(views))
        assert frames[where].shape == (3, *mel.shape)
        assert frames[where].dtype == torch.float32
    torch.testing.assert_close(frames["loader"], frames["device"], rtol=0, atol=1e-5)
    whole_TM = LogMel(**SMALL)(
        torch.from_numpy(soundfile.read(io.BytesIO(member), dtype="float32", always_2d=True)[0].mean(1))[None]
    )[0]
    torch.testing.assert_close(frames["loader"][1], whole_TM[:100], rtol=0, atol=1e-5)
    torch.testing.assert_close(frames["loader"][2], whole_TM[-100:], rtol=0, atol=1e-5)


def test_clips_of_another_rate_are_resampled() -> None:
    mel = MelInput("mel", AUDIO, crop_frames=10, where="device", **SMALL)
    assert mel.decode(sound(16_000, 16_000)).shape == (8000,)


def test_a_crop_of_a_long_clip_does_not_keep_all_of_it_in_memory() -> None:
    mel = MelInput("mel", AUDIO, crop_frames=20, where="loader", **SMALL)
    crop_TM = mel.train_view(np.zeros(80_000, np.float32), np.random.default_rng(0)).arrays["value"]
    assert crop_TM.base is None or crop_TM.base.nbytes <= 2 * crop_TM.nbytes


def test_pictures_are_resized_and_normalised_and_points_keep_their_place() -> None:
    pixels = np.zeros((30, 60, 3), np.uint8)
    pixels[:, 30:] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    image = ImageInput("image", IMAGES, size=[10, 20], mean=[0.5, 0.5, 0.5], std=0.25)
    decoded = image.decode(buffer.getvalue())
    view = image.train_view(decoded, np.random.default_rng(0))
    batch = image.finish(batch_of([view, *image.evaluation_views(decoded), image.blank()]))
    assert batch.shape == (3, 3, 10, 20)
    assert batch.dtype == torch.float32
    assert batch[0, 0, 5, 2] == -2.0
    assert batch[1, 2, 5, 17] == 2.0
    points = np.asarray([[0.0, 0.0], [60.0, 30.0], [12.5, 7.0]])
    np.testing.assert_allclose(view.to_pixels(view.from_pixels(points)), points)
    assert view.from_pixels(points).max() == 1.0
    grey = ImageInput("image", IMAGES, size=16, grey=True)
    assert grey.finish(batch_of(grey.evaluation_views(grey.decode(buffer.getvalue())))).shape == (1, 1, 16, 16)


def test_arrays_have_the_shape_of_the_data_set_or_the_recipe() -> None:
    array = ArrayInput("mel", MELS)
    assert array.shape == (40, 8)
    value = array.decode(npy(np.ones((40, 8), np.float16)))
    assert (
        array.finish(
            batch_of([array.train_view(value, np.random.default_rng()), array.evaluation_views(value)[0]])
        ).sum()
        == 640
    )
    with pytest.raises(ValueError, match=r"shape \(4, 8\), allowed is \(40, 8\)"):
        array.decode(npy(np.ones((4, 8))))
    assert ArrayInput("mel", {"mel": Field("array", "npy")}, shape=[3]).blank().arrays["value"].shape == (3,)


@pytest.mark.parametrize("values", [np.ones((5, 9)), np.ones(8), np.ones((1, 5, 8))])
def test_ready_mels_of_another_shape_are_bad_samples(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="the mel has shape"):
        MelInput("mel", MELS, bands=8).decode(npy(values))


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e39])
def test_arrays_that_would_make_the_loss_nan_are_bad_samples(number: float) -> None:
    for input in (ArrayInput("mel", MELS), MelInput("mel", MELS, bands=8)):
        with pytest.raises(ValueError, match="NaN or infinity"):
            input.decode(npy(np.full((40, 8), number)))


@pytest.mark.parametrize("kind", [">f2", ">f4", "<f8", "<i2", ">u8", "?"])
def test_arrays_of_any_numbers_become_batches(kind: str) -> None:
    member = npy(np.ones((40, 8), kind))
    for input in (ArrayInput("mel", MELS), MelInput("mel", MELS, bands=8, crop_frames=50)):
        views = [*input.evaluation_views(input.decode(member)), input.blank()]
        batch = input.finish(batch_of(views))
        assert batch.dtype == torch.float32
        assert batch[0].sum() == (320 if batch.shape[1] == 40 else 320 - 80), "frames around a short clip are silence"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: inputs.build("mel", {"crop": 3}, name="mel", fields=MELS), "no option 'crop': did you mean"),
        (lambda: MelInput("mel", MELS, crop_frames=0), "size below 1"),
        (lambda: MelInput("x", IMAGES), "needs a field of kind array or audio"),
        (lambda: MelInput("x", {**MELS, **AUDIO}), "could read .*set inputs.x.field"),
        (lambda: MelInput("mel", MELS, field="mle"), "reads the field 'mle'"),
        (lambda: ImageInput("image", IMAGES, size=0), "give pixels from 1"),
        (lambda: ArrayInput("mel", {"mel": Field("array", "npy")}), "set inputs.mel.shape"),
    ],
)
def test_what_fits_no_field_is_one_sentence(make: Callable[[], Input], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()
