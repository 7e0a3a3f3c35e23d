"""What cannot be a label of points in an image: places far outside, and eyes of a face that are swapped.

Shapes: P points, X = 2 coordinates (x, y) in pixels of the stored image, whose y goes down.
"""

from __future__ import annotations

import numpy as np

from descant.tasks.labels import BadLabel

_OUTSIDE = 0.5  # widths and heights of the image
_SWAPPED = 0.1


def check_places(label: str, points_PX: np.ndarray, extent: tuple[int, int] | None) -> None:
    """Raise a BadLabel for points more than half the image's (width, height) outside of it."""
    if extent is None:
        return
    size_X = np.asarray(extent, np.float64)
    outside_P = ((points_PX < -_OUTSIDE * size_X) | (points_PX > (1 + _OUTSIDE) * size_X)).any(axis=1)
    if outside_P.any():
        raise BadLabel(
            f"{label}: point {int(outside_P.argmax())} lies outside of the image of {extent[0]} × {extent[1]} pixels; "
            f"allowed is half its width and height beyond the border, for faces that a crop has cut"
        )


def check_sides_of_eyes(label: str, points_PX: np.ndarray, eyes: tuple[int, int]) -> None:
    """Raise a BadLabel when the first eye is on the right of the second, as the image shows the face.

    Right is seen from the face's own upright, which goes from the middle of the other points to that of the eyes: a
    face may lean, or stand on its head. Of two points alone, upright is up. The eyes of a profile come close to each
    other; swapped are those that lie the wrong way round by more than a tenth of the points' spread (the root mean
    square distance from their mean).
    """
    others_PX = np.delete(points_PX, eyes, axis=0)
    across_X = points_PX[eyes[1]] - points_PX[eyes[0]]
    spread = float(np.sqrt(((points_PX - points_PX.mean(axis=0)) ** 2).sum(axis=1).mean()))
    down_X = others_PX.mean(axis=0) - points_PX[list(eyes)].mean(axis=0) if len(others_PX) else np.array([0.0, spread])
    height = float(np.linalg.norm(down_X))
    if height <= _SWAPPED * spread:
        return  # no upright can be told
    to_the_right = float(across_X[0] * down_X[1] - across_X[1] * down_X[0]) / height
    if to_the_right < -_SWAPPED * spread:
        raise BadLabel(
            f"{label}: its eyes are swapped, point {eyes[0]} is on the right of point {eyes[1]}; allowed are the eye "
            f"that the image shows on the left first, and then the other"
        )
