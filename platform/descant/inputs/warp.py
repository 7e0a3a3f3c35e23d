"""Resizing and moving of images.

Shapes: C channels (1 or 3), H height, W width, h and w those of the result.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from descant.inputs.geometry import Geometry


def resize(picture_HWC: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a uint8 image of another size, by a bilinear filter as wide as the pixels of the coarser image."""
    from PIL import Image

    if picture_HWC.shape[:2] == (height, width):
        return picture_HWC
    resized = to_pillow(picture_HWC).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(height, width, -1)


def warp(picture_HWC: np.ndarray, motion: Geometry, height: int, width: int) -> np.ndarray:
    """Return the uint8 image whose pixels went by ``motion`` within its own frame, resized to (h, w).

    The image is resized to the size that it has in the result and then moved without a change of size: that is one
    filtered and one bilinear step for any magnification. Beyond its border its last pixels are repeated.
    """
    from PIL import Image

    if motion == Geometry():
        return resize(picture_HWC, height, width)
    if motion == Geometry(((-1.0, 0.0), (0.0, 1.0)), (picture_HWC.shape[1] - 1.0, 0.0)):
        return np.ascontiguousarray(resize(picture_HWC, height, width)[:, ::-1])
    (a, b), (c, d) = motion.matrix
    zoom = math.sqrt(abs(a * d - b * c))
    resized = resize(picture_HWC, max(round(zoom * height), 1), max(round(zoom * width), 1))
    back = _from_result(motion, picture_HWC.shape, resized.shape, height, width)
    padded, left, top = _repeat_border(resized, back, height, width)
    (a, b), (c, d) = back.matrix
    data = (a, b, back.shift[0] + left, c, d, back.shift[1] + top)
    moved = to_pillow(padded).transform((width, height), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(moved).reshape(height, width, -1)


def _from_result(
    motion: Geometry, stored: tuple[int, ...], resized: tuple[int, ...], height: int, width: int
) -> Geometry:
    """Return from where in the resized image each place of the result comes, counted from the images' corners."""
    half = Geometry(shift=(-0.5, -0.5))
    in_stored = half.then(motion.inverse()).then(half.inverse())
    return (
        _stretch(width, height, stored[1], stored[0])
        .then(in_stored)
        .then(_stretch(stored[1], stored[0], resized[1], resized[0]))
    )


def _stretch(width: int, height: int, to_width: int, to_height: int) -> Geometry:
    return Geometry(((to_width / width, 0.0), (0.0, to_height / height)))


def _repeat_border(picture_HWC: np.ndarray, back: Geometry, height: int, width: int) -> tuple[np.ndarray, int, int]:
    """Return the image with all that the result sees beyond it, and how much was put on the left and on top."""
    corners = back.apply(np.asarray([(0, 0), (width, 0), (0, height), (width, height)], np.float64))
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    rows, columns = picture_HWC.shape[:2]
    first_row, first_column = math.floor(top) - 1, math.floor(left) - 1
    row = np.arange(first_row, math.ceil(bottom) + 1).clip(0, rows - 1)
    column = np.arange(first_column, math.ceil(right) + 1).clip(0, columns - 1)
    return picture_HWC[row[:, None], column], -first_column, -first_row


def to_pillow(picture_HWC: np.ndarray) -> Any:
    """Return a uint8 image as Pillow's, of mode L or RGB."""
    from PIL import Image

    return Image.fromarray(picture_HWC[..., 0] if picture_HWC.shape[2] == 1 else picture_HWC)
