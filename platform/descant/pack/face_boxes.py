"""A face detector's boxes for MTFL's pictures: lines ``path left top right bottom``, in pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from descant.errors import UserError
from descant.pack.keys import key_of
from descant.pack.mtfl_files import Face

Box = tuple[float, float, float, float]


def read_boxes(path: Path) -> dict[str, list[Box]]:
    """Return the boxes of each picture by its key; line ends and slashes may be of either kind.

    Raises:
        UserError: the file is missing, or a line is not a path and four numbers of a box.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("\ufeff").split("\n")
    except OSError as error:
        raise UserError(f"the boxes {str(path)!r} cannot be read: {error.strerror}; check the path") from error
    boxes: dict[str, list[Box]] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            name, box = _parse(line.split(), f"{path.name}:{number}")
            boxes.setdefault(key_of(name), []).append(box)
    return boxes


def box_of(face: Face, boxes: Mapping[str, Sequence[Box]]) -> Box | None:
    """Return the box of a picture that holds the middle of a face's landmarks, None where none does."""
    x, y = (sum(values) / len(values) for values in zip(*face.points, strict=True))
    held = [box for box in boxes.get(face.picture_key, ()) if box[0] <= x <= box[2] and box[1] <= y <= box[3]]
    return min(held, key=lambda box: math.dist((x, y), ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)), default=None)


def _parse(parts: Sequence[str], where: str) -> tuple[str, Box]:
    try:
        name, left, top, right, bottom = parts
        box = (float(left), float(top), float(right), float(bottom))
    except ValueError:
        box = (math.nan,) * 4
    if not all(map(math.isfinite, box)) or box[0] >= box[2] or box[1] >= box[3]:
        raise UserError(f"{where} is no box: write the picture's path, left, top, right and bottom, in pixels")
    return name.replace("\\", "/").removeprefix("./"), box
