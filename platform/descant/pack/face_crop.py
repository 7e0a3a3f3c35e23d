"""Square crops of faces around their landmarks.

Shapes: P points, H height, W width, S side of the stored picture in pixels.
"""

from __future__ import annotations

import numpy as np

from descant.data.decode import MAX_PIXELS

MARGIN = 1.2
"""Of a frontal face it leaves all from the hair line to below the chin in the box."""


def crop_face(
    picture_HWC: np.ndarray, points_P2: np.ndarray, size: int, margin: float = MARGIN
) -> tuple[np.ndarray, np.ndarray]:
    """Return the face as (S, S, C) with S = ``size``, and its points in pixels of that picture.

    The box stands around the mean of the landmarks; half its side is (1 + ``margin``) times their spread, the root
    mean square distance from their mean. So faces come at one scale, turned ones too, whose eyes are close to each
    other, and from a margin of 1 on no five landmarks can lie outside. Beyond the picture's border its last pixels
    are repeated.

    Raises:
        ValueError: the box has more pixels than pictures may have.
    """
    centre_2 = points_P2.mean(axis=0)
    spread = float(np.sqrt(((points_P2 - centre_2) ** 2).sum(axis=1).mean()))
    return _square(picture_HWC, points_P2, centre_2, 2.0 * (1.0 + margin) * spread, size)


def crop_box(
    picture_HWC: np.ndarray, points_P2: np.ndarray, size: int, box_4: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a face detector's box (left, top, right, bottom) shows as (S, S, C), and the points in it.

    The square stands around the box's centre, its side is the box's longer one. Points may lie outside it.

    Raises:
        ValueError: the box has more pixels than pictures may have.
    """
    corners_22 = np.asarray(box_4).reshape(2, 2)
    return _square(picture_HWC, points_P2, corners_22.mean(axis=0), float(np.ptp(corners_22, axis=0).max()), size)


def _square(
    picture_HWC: np.ndarray, points_P2: np.ndarray, centre_2: np.ndarray, wanted_side: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    side = max(round(wanted_side), 1)
    if side * side > MAX_PIXELS:
        raise ValueError(f"the face would be a square of {side} pixels a side, allowed are {MAX_PIXELS:,} in all")
    left, top = (round(float(middle) - (side - 1) / 2) for middle in centre_2)
    height, width = picture_HWC.shape[:2]
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    box = Image.fromarray(picture_HWC[rows[:, None], columns])
    face = np.asarray(box.resize((size, size), Image.Resampling.LANCZOS))
    # Coordinates count from the centre of the first pixel, so scaling is about its corner, half a pixel before.
    return face, (points_P2 - (left, top) + 0.5) * (size / side) - 0.5
