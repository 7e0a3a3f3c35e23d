"""Reads MTFL's ``training.txt`` and ``testing.txt``.

Each line has 15 white-space fields: path, x1..x5, y1..y5 (left eye, right eye, nose, left and right corner of the
mouth), gender, smile, glasses, pose. The published files mix CRLF and LF, start lines with a space, and write paths
with ``\\`` in one file and ``/`` in the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from descant.errors import UserError
from descant.pack.files import StoredFile
from descant.pack.keys import key_of
from descant.pack.record import LeftOut

FILES = {"train": "training.txt", "test": "testing.txt"}
CLASSES = {
    "gender": ("male", "female"),
    "smile": ("no", "yes"),
    "glasses": ("no", "yes"),
    "pose": ("left profile", "left", "frontal", "right", "right profile"),
}
_YES_FIRST = ("smile", "glasses")  # 1 is yes and 2 is no in the files
_FIELDS = 15
_LEAST_EYE_DISTANCE_PIXELS = 0.5


@dataclass(frozen=True)
class Face:
    """One line of the text files: its picture, its landmarks (5, 2) in pixels and its classes.

    ``key`` is the sample's own; ``picture_key`` that of its picture, which may show several faces.
    """

    key: str
    picture_key: str
    picture: StoredFile
    points: tuple[tuple[float, float], ...]
    labels: Mapping[str, int]


def read_faces(source: Path, files: Mapping[str, StoredFile]) -> tuple[dict[str, list[Face]], list[LeftOut]]:
    """Return the faces of each text file, and what is left out with the reasons.

    A picture may hold several faces: from its second line on, keys end in ``-2`` and so on. A line that says again
    what another has said is left out.

    Raises:
        UserError: one of the text files is missing, or none of its lines gives a face.
    """
    prefix = _prefix(source, files)
    faces: dict[str, list[Face]] = {}
    left_out: list[LeftOut] = []
    used: dict[str, Face] = {}
    for split, name in FILES.items():
        faces[split] = []
        lines = files[prefix + name].read().decode("utf-8", errors="surrogateescape").removeprefix("\ufeff").split("\n")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                faces[split].append(_unused(_parse(line, prefix, files), used))
            except ValueError as error:
                picture = line.split()[0].replace("\\", "/").removeprefix("./")
                left_out.append({"key": key_of(picture), "reason": f"{error} (line {number} of {name})"})
        if not faces[split]:
            reason = f", the last one because {left_out[-1]['reason']}" if left_out else ""
            raise UserError(f"no line of {name} in {str(source)!r} gives a face{reason}")
    return faces, left_out


def _prefix(source: Path, files: Mapping[str, StoredFile]) -> str:
    """Return the path of the folder with both text files: the outermost one."""
    found = [name for name in files if name.rpartition("/")[2] == FILES["train"]]
    nearest = min(found, key=lambda name: (name.count("/"), name), default="")
    prefix = nearest.removesuffix(FILES["train"])
    missing = [name for name in FILES.values() if prefix + name not in files]
    if missing:
        raise UserError(f"there is no {' and no '.join(missing)} in {str(source)!r}: give MTFL's folder or tar")
    return prefix


def _parse(line: str, prefix: str, files: Mapping[str, StoredFile]) -> Face:
    """Return the face of a line; a ValueError says why there is none."""
    parts = line.split()
    if len(parts) != _FIELDS:
        raise ValueError(f"the line has {len(parts)} fields, expected are {_FIELDS}")
    path = parts[0].replace("\\", "/").removeprefix("./")
    try:
        numbers, codes = [float(part) for part in parts[1:11]], [int(part) for part in parts[11:]]
    except ValueError as error:
        raise ValueError(f"the line of {path} holds what is no number: {error}") from error
    if prefix + path not in files:
        raise ValueError(f"the picture {path} is missing")
    points_P2 = np.array(numbers).reshape(2, 5).T
    if not np.isfinite(points_P2).all():
        raise ValueError(f"the landmarks of {path} are not finite")
    if np.linalg.norm(points_P2[0] - points_P2[1]) < _LEAST_EYE_DISTANCE_PIXELS:
        raise ValueError(f"the eyes of {path} coincide")
    points = tuple(zip(numbers[:5], numbers[5:], strict=True))
    return Face(key_of(path), key_of(path), files[prefix + path], points, _labels(path, codes))


def _labels(path: str, codes: list[int]) -> dict[str, int]:
    labels = {}
    for (name, classes), code in zip(CLASSES.items(), codes, strict=True):
        if not 1 <= code <= len(classes):
            raise ValueError(f"the {name} of {path} is {code}, allowed are 1 to {len(classes)}")
        labels[name] = 2 - code if name in _YES_FIRST else code - 1
    return labels


def _unused(face: Face, used: dict[str, Face]) -> Face:
    """Return the face under a key that no other has; a ValueError if it is one of them."""
    key, number = face.key, 1
    while key in used:
        if replace(used[key], key=face.key) == face:
            raise ValueError("the same face is listed twice")
        number += 1
        key = f"{face.key}-{number}"
    used[key] = replace(face, key=key)
    return used[key]
