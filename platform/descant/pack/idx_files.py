"""Reads the idx files of the MNIST family (LeCun et al. 1998): sizes as big-endian numbers, then unsigned bytes."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from descant.errors import UserError
from descant.pack.files import StoredFile, open_files, unzipped

_UNSIGNED_BYTES = 8
_NAME = re.compile(r"(train|t10k|test)-?(images|labels)[-.]?idx([13])-?ubyte(\.gz)?$")
_SPLITS = {"train": "train", "t10k": "test", "test": "test"}


@dataclass(frozen=True)
class Images:
    """The pictures of one file and their labels: (H, W) bytes each, one after the other."""

    pixels: StoredFile
    height: int
    width: int
    labels: list[int]

    def picture(self, number: int) -> StoredFile:
        """Return where the pixels of one picture are."""
        size = self.height * self.width
        return self.pixels.part(number * size, size)

    def with_labels(self, present: Sequence[int]) -> Images:
        """Return the same pictures, labelled by the place of their label in ``present``."""
        places = {label: place for place, label in enumerate(present)}
        return replace(self, labels=[places[label] for label in self.labels])


def read_idx(source: Path, scratch: Path) -> dict[str, Images]:
    """Return the pictures of the splits train and test; gzipped files are unzipped into ``scratch``.

    Raises:
        UserError: one of the four files is missing, damaged, or does not fit its partner.
    """
    found = _find(source, open_files(source, scratch))
    images: dict[str, Images] = {}
    for split in ("train", "test"):
        (count, height, width), pixels = _open(*found[split, "images"], 3, scratch)
        name, labels_file = found[split, "labels"]
        (labelled,), labels = _open(name, labels_file, 1, scratch)
        if labelled != count:
            raise UserError(
                f"{name!r} labels {labelled} of the {count} pictures of {split}: the files belong to others"
            )
        images[split] = Images(pixels, height, width, np.frombuffer(labels.read(), np.uint8).tolist())
    sizes = {(part.height, part.width) for part in images.values()}
    if len(sizes) > 1:
        raise UserError(f"the pictures of train and test in {str(source)!r} differ in size: {sorted(sizes)}")
    return images


def _find(source: Path, files: Mapping[str, StoredFile]) -> dict[tuple[str, str], tuple[str, StoredFile]]:
    """Return name and place of images and labels of each split."""
    found: dict[tuple[str, str], tuple[str, StoredFile]] = {}
    for path, file in files.items():
        match = _NAME.search(path.rpartition("/")[2].lower())
        if match is None:
            continue
        part = (_SPLITS[match[1]], match[2])
        if part in found and found[part][0].removesuffix(".gz") != path.removesuffix(".gz"):
            raise UserError(
                f"{str(source)!r} holds several data sets, {found[part][0]!r} and {path!r}: give the folder of one"
            )
        found.setdefault(part, (path, file))
    missing = [f"{split} {kind}" for split in ("train", "test") for kind in ("images", "labels")
               if (split, kind) not in found]  # fmt: skip
    if missing:
        raise UserError(
            f"{str(source)!r} lacks the idx files of {', '.join(missing)}: give the folder of train-images-idx3-ubyte, "
            f"train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, gzipped or not"
        )
    return found


def _open(name: str, file: StoredFile, axes: int, scratch: Path) -> tuple[tuple[int, ...], StoredFile]:
    """Return the sizes that a file states, and where its numbers are."""
    if name.endswith(".gz"):
        target = scratch / name.replace("/", "_").removesuffix(".gz")
        file = StoredFile(unzipped(file, name, target))
    head = file.part(0, 4 + 4 * axes)
    try:
        kind, found_axes, *sizes = struct.unpack(f">HBB{axes}I", head.read())[1:]
    except ValueError as error:
        raise UserError(f"{name!r} is no idx file: it is shorter than the head of one") from error
    if (kind, found_axes) != (_UNSIGNED_BYTES, axes):
        raise UserError(f"{name!r} is no idx file of unsigned bytes with {axes} axes")
    expected, there = math.prod(sizes), file.length() - 4 - 4 * axes
    if not expected or expected != there:
        raise UserError(f"{name!r} states {expected:,} bytes and holds {there:,}: it is cut off or damaged")
    return tuple(sizes), file.part(4 + 4 * axes, expected)
