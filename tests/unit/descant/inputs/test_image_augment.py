"""Images that are moved, mirrored and recoloured in training: pixels and points go the same way."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.data.description import Field
from descant.data.order import sample_rng
from descant.errors import UserError
from descant.inputs import ImageInput, View, inputs
from descant.inputs.image_augment import ImageAugment, ImageChange, colour
from descant.inputs.warp import warp

IMAGES = {"image": Field("image", "png")}
ALL: dict[str, Any] = {
    "flip": 0.5,
    "translate": 0.1,
    "scale": [0.8, 1.25],
    "degrees": 30,
    "brightness": 0.3,
    "contrast": 0.3,
    "saturation": 0.3,
    "noise": 0.02,
    "blur_px": 1.0,
}


def picture(height: int = 23, width: int = 17, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def image(size: Any = (23, 17), grey: bool = False, **augment: Any) -> ImageInput:
    return ImageInput("image", IMAGES, size=size, grey=grey, augment=augment)


def digest() -> str:
    """Return a digest of ten views with everything on; another process has to find the same."""
    views = [image(**ALL).train_view(picture(), sample_rng(3, 1, position)) for position in range(10)]
    content = b"".join(view.arrays["value"].tobytes() + repr(view.geometry).encode() for view in views)
    return hashlib.sha256(content).hexdigest()


def test_a_mirrored_picture_has_its_columns_reversed_and_its_points_too() -> None:
    stored = picture()
    view = image(flip=1.0).train_view(stored, np.random.default_rng(0))
    np.testing.assert_array_equal(view.arrays["value"], stored[:, ::-1])
    assert view.mirrored
    points = np.asarray([[0.0, 0.0], [16.0, 5.0], [8.0, 22.0]])
    np.testing.assert_allclose(view.from_pixels(points) * 23, [[16, 0], [0, 5], [8, 22]], atol=1e-12)
    twice = image(flip=1.0).train_view(view.arrays["value"], np.random.default_rng(1))
    np.testing.assert_array_equal(twice.arrays["value"], stored)
    again = twice.from_pixels(view.from_pixels(points) * 23)
    np.testing.assert_allclose(again * 23, points, atol=1e-12)


def test_flips_come_as_often_as_asked() -> None:
    flipping = image(flip=0.25)
    mirrored = [flipping.train_view(picture(), sample_rng(0, 0, number)).mirrored for number in range(800)]
    assert 0.2 < sum(mirrored) / len(mirrored) < 0.3
    assert flipping.mirrors and not image(degrees=5).mirrors
    assert not any(image(degrees=180).train_view(picture(), sample_rng(0, 0, n)).mirrored for n in range(20))


@settings(max_examples=150)
@given(
    st.booleans(),
    st.floats(0.5, 2.0),
    st.floats(-180, 180),
    st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)),
    st.tuples(st.integers(40, 80), st.integers(40, 80)),
    st.tuples(st.integers(20, 59), st.integers(20, 59)),
)
def test_a_spot_is_where_its_point_went(
    mirrored: bool,
    zoom: float,
    degrees: float,
    shift: tuple[float, float],
    size: tuple[int, int],
    place: tuple[int, int],
) -> None:
    """The spot is wider than a pixel of the result, so its centre of mass is known to a fraction of one."""
    height, width = 80, 60
    x, y = place[0] * (width - 1) / 79, place[1] * (height - 1) / 79
    rows, columns = np.mgrid[:height, :width]
    spot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))
    motion = ImageChange(mirrored, zoom, degrees, shift).motion(width, height)
    seen = warp(np.rint(spot).astype(np.uint8)[..., None], motion, *size)[..., 0].astype(float)
    # The result stretches the moved picture about its corner, half a pixel before the centre of its first pixel.
    gone = (motion.apply(np.asarray([[x, y]]))[0] + 0.5) * (size[1] / width, size[0] / height) - 0.5
    margin = 4 * 3.0 * zoom * max(size[1] / width, size[0] / height)
    if (gone < margin).any() or (gone > np.asarray(size[::-1]) - 1 - margin).any():
        return
    found = [(seen * axis).sum() / seen.sum() for axis in np.mgrid[: size[0], : size[1]][::-1]]
    np.testing.assert_allclose(found, gone, atol=0.15)


def test_points_that_leave_the_picture_are_still_points_and_come_back() -> None:
    view = image(scale=[4.0, 4.0]).train_view(picture(), np.random.default_rng(0))
    points = np.asarray([[0.0, 0.0], [16.0, 22.0], [8.0, 11.0]])
    moved = view.from_pixels(points)
    assert moved.min() < 0 and moved.max() > 1
    np.testing.assert_allclose(moved[2], points[2] / 23, atol=1e-12), "the centre stays"
    np.testing.assert_allclose(view.to_pixels(moved), points, atol=1e-9)


def test_the_border_is_repeated_beyond_the_picture() -> None:
    flat = np.full((20, 20, 1), 90, np.uint8)
    turned = image(size=20, grey=True, degrees=45, translate=0.3, scale=[0.5, 0.5])
    for position in range(5):
        assert (turned.train_view(flat, sample_rng(0, 0, position)).arrays["value"] == 90).all()


def test_a_quarter_turn_moves_every_pixel_exactly() -> None:
    stored = picture(16, 16)
    turned = warp(stored, ImageChange(degrees=90.0).motion(16, 16), 16, 16)
    assert np.abs(turned.astype(int) - np.rot90(stored, -1).astype(int)).max() <= 1


def test_colours_by_hand() -> None:
    pixels = np.asarray([[[100, 50, 200], [0, 0, 0]]], np.uint8)
    luminance = 0.299 * 100 + 0.587 * 50 + 0.114 * 200  # 82.05
    np.testing.assert_array_equal(colour(pixels, ImageChange(brightness=1.5))[0, 0], [150, 75, 255])
    grey = colour(pixels, ImageChange(saturation=0.0))[0, 0]
    np.testing.assert_array_equal(grey, [round(luminance)] * 3)
    flat = colour(pixels, ImageChange(contrast=0.0))[0]
    np.testing.assert_array_equal(flat, np.full((2, 3), round(luminance / 2)))
    strong = colour(pixels, ImageChange(contrast=2.0))[0, 0]
    np.testing.assert_array_equal(strong, [round(2 * 100 - luminance / 2), round(100 - luminance / 2), 255])
    shade = np.asarray([[[40], [80]]], np.uint8)
    np.testing.assert_array_equal(colour(shade, ImageChange(brightness=0.5, contrast=2.0)).ravel(), [10, 50])


def test_one_option_does_not_change_what_another_draws() -> None:
    alone = ImageAugment(degrees=30).draw(sample_rng(0, 0, 1))
    among = ImageAugment(flip=1, translate=0.2, degrees=30, contrast=0.5).draw(sample_rng(0, 0, 1))
    assert alone.degrees == among.degrees != 0


def test_evaluation_and_no_augmentation_see_the_picture_as_it_is() -> None:
    stored = picture(40, 30)
    full, plain = image(**ALL), image()
    for seen in (full.evaluation_views(stored)[0], plain.train_view(stored, np.random.default_rng(0))):
        np.testing.assert_array_equal(seen.arrays["value"], plain.evaluation_views(stored)[0].arrays["value"])
        assert seen.geometry == plain.evaluation_views(stored)[0].geometry
    assert image(grey=True, flip=0.5, noise=0.1).train_view(stored[..., :1], np.random.default_rng(0)).arrays[
        "value"
    ].shape == (23, 17, 1)


def test_another_process_sees_the_same_views() -> None:
    found = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == digest()


def test_views_of_one_place_are_alike_and_of_others_not() -> None:
    views: list[View] = [
        image(**ALL).train_view(picture(), sample_rng(0, *place)) for place in ((1, 2), (1, 2), (2, 2))
    ]
    np.testing.assert_array_equal(views[0].arrays["value"], views[1].arrays["value"])
    assert views[0].geometry == views[1].geometry != views[2].geometry


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"augment": {"filp": 0.5}}, r"inputs.image.augment has no option 'filp': did you mean 'flip'"),
        ({"augment": {"flip": 1.5}}, r"inputs.image.augment.flip is 1.5: give 0 to 1"),
        ({"augment": {"flip": True}}, r"'flip' of inputs.image.augment is True: give a number"),
        ({"augment": {"degrees": -1}}, r"degrees is -1: give 0 to 180 degrees"),
        ({"augment": {"scale": [1.2, 0.8]}}, r"scale is \[1.2, 0.8\]: give the least and the most, within 0.25 to 4"),
        ({"augment": {"scale": [0, 1]}}, r"within 0.25 to 4"),
        ({"augment": {"scale": 2}}, r"give a list of 2 numbers"),
        ({"augment": {"translate": float("nan")}}, r"translate is nan: give 0 to 1 of the image"),
        ({"augment": {"saturation": 0.5}, "grey": True}, r"saturation is 0.5, but the images are grey"),
        ({"augment": {"brightness": 2}}, r"brightness is 2: give 0 to 1"),
    ],
)
def test_what_cannot_be_done_to_images_is_one_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        inputs.build("image", options, name="image", fields=IMAGES)


if __name__ == "__main__":
    print(digest())
