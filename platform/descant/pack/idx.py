"""``descant pack idx``: idx files of the MNIST family into shards, one picture a sample or two on one canvas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from descant.data.description import Field
from descant.errors import UserError
from descant.pack.idx_files import Images, read_idx
from descant.pack.packing import packer
from descant.pack.picture import encode_png
from descant.pack.record import Format, PackedSample, Plan, RawRecord, joined
from descant.pack.splits import check_share, with_validation

PLACES = ("top_left", "bottom_right")
_SHIFT = 4  # pixels by which a picture of a pair may lie away from its corner
_ROUNDS = 2  # pairs of which each picture is at the top left, and at the bottom right
_BATCH = 64


@dataclass(frozen=True)
class Idx(Format):
    """The folder, tar or tar.gz of train-images-idx3-ubyte and its three fellows, gzipped or not.

    Attributes:
        pairs: put two pictures on one canvas, 8 pixels larger than they are: one at the top left, one at the bottom
            right, each shifted by up to 4 pixels, the brighter one seen where both are (as MultiMNIST; Sener and
            Koltun 2018). The labels are then ``top_left`` and ``bottom_right``. There are twice as many pairs as
            pictures; no two splits share a picture.
        label: the label's name without ``pairs``.
        classes: the names of the classes that occur, in the order of their numbers, separated by commas; the numbers
            if None.
        validation: share of each class of the training file that becomes the validation split.
    """

    pairs: bool = False
    label: str = "class"
    classes: str | None = None
    validation: float = 0.1
    name: ClassVar[str] = "idx"

    def __post_init__(self) -> None:
        check_share(self.validation)

    def plan(self, source: Path, seed: int, scratch: Path) -> Plan:
        """Read the labels; a UserError when a file is missing, damaged or does not fit its partner."""
        images = read_idx(source, scratch)
        present = sorted({label for part in images.values() for label in part.labels})
        images = {split: part.with_labels(present) for split, part in images.items()}
        classes = self._classes(present)
        names = PLACES if self.pairs else (self.label,)
        one = images["train"]
        labels = {name: Field("class", classes=classes) for name in names}
        fields = joined({"image": Field("image", "png")}, labels)
        records = list(self._records(images, seed))
        encode = partial(_encode, shape=(one.height, one.width))
        return Plan(fields, records, encode, batch=_BATCH)

    def _classes(self, present: list[int]) -> tuple[str, ...]:
        if self.classes is None:
            return tuple(map(str, present))
        names = tuple(name.strip() for name in self.classes.split(","))
        if len(set(names)) != len(present):
            raise UserError(
                f"classes names {len(set(names))} classes and the files have {len(present)}: name each once"
            )
        return names

    def _records(self, images: dict[str, Images], seed: int) -> Iterator[RawRecord]:
        rng = np.random.default_rng([seed, len(PLACES)])
        for file, part in images.items():
            splits = [file] * len(part.labels)
            if file == "train":
                splits = with_validation(part.labels, self.validation, seed)
            if not self.pairs:
                for number, (split, label) in enumerate(zip(splits, part.labels, strict=True)):
                    yield RawRecord(f"{file}-{number:06d}", split, (part.picture(number),), {self.label: label})
                continue
            for split in dict.fromkeys(splits):
                members = np.flatnonzero(np.array(splits) == split)
                yield from _pairs(split, part, members, rng)


def _pairs(split: str, part: Images, members: np.ndarray, rng: np.random.Generator) -> Iterator[RawRecord]:
    """Yield pairs in which each picture is as often at the top left as at the bottom right.

    They are of two different pictures, but for a split of one picture, which is paired with itself.
    """
    for turn in range(_ROUNDS):
        ring = rng.permutation(members)  # each is paired with its neighbour
        shifts_N4 = rng.integers(0, _SHIFT + 1, (len(ring), 4))
        pairs = zip(ring.tolist(), np.roll(ring, -1).tolist(), shifts_N4.tolist(), strict=True)
        for number, (first, second, shifts) in enumerate(pairs):
            labels = dict(zip(PLACES, (part.labels[first], part.labels[second]), strict=True))
            files = part.picture(first), part.picture(second)
            yield RawRecord(f"{split}-{turn}-{number:06d}", split, files, labels, tuple(shifts))


def _encode(record: RawRecord, shape: tuple[int, int]) -> PackedSample:
    pictures = [np.frombuffer(file.read(), np.uint8).reshape(shape) for file in record.files]
    picture_HW = pictures[0] if record.detail is None else _canvas(pictures[0], pictures[1], record.detail)
    return PackedSample({"png": encode_png(picture_HW)}, record.labels)


def _canvas(first_HW: np.ndarray, second_HW: np.ndarray, shifts: tuple[int, int, int, int]) -> np.ndarray:
    (height, width), (down, right, up, left) = first_HW.shape, shifts
    canvas_HW = np.zeros((height + 2 * _SHIFT, width + 2 * _SHIFT), np.uint8)
    canvas_HW[down : down + height, right : right + width] = first_HW
    corner = canvas_HW[2 * _SHIFT - up :, 2 * _SHIFT - left :][:height, :width]
    np.maximum(corner, second_HW, out=corner)
    return canvas_HW


pack_idx = packer(Idx)
