"""``descant pack mtfl``: the Multi-Task Facial Landmark data (Zhang et al., ECCV 2014) into shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from descant.data.decode import JPEG, decode_image
from descant.data.description import Field
from descant.errors import UserError
from descant.pack.face_boxes import box_of, read_boxes
from descant.pack.face_crop import MARGIN, crop_box, crop_face
from descant.pack.files import open_files
from descant.pack.mtfl_files import CLASSES, Face, read_faces
from descant.pack.packing import packer
from descant.pack.picture import encode_jpeg
from descant.pack.record import Format, PackedSample, Plan, RawRecord
from descant.pack.splits import check_share
from descant.tasks.faces import check_sides_of_eyes

_OUTSIDE = 0.25  # how far a landmark may lie beyond the border, in widths and heights of the picture


@dataclass(frozen=True)
class Mtfl(Format):
    """The folder with training.txt and testing.txt, one that holds such a folder, or a tar or tar.gz of it.

    The labels are landmarks, gender, smile, glasses and pose. Landmarks are (x, y) in pixels of the stored picture,
    counted from the centre of its first pixel.

    Attributes:
        size: side of a stored face in pixels.
        margin: room around the landmarks, in multiples of their spread (see ``crop_face``).
        crop: ``face`` stores a square around the true landmarks, so that training and test faces have one scale
            (errors measured on it are lower than behind a face detector: centre and size are given away); ``none``
            the pictures as they are.
        boxes: a text file of a face detector's boxes, around which ``face`` crops in the place of the landmarks.
        validation: share of the training file that becomes the validation split.
    """

    size: int = 96
    margin: float = MARGIN
    crop: Literal["face", "none"] = "face"
    validation: float = 0.1
    boxes: Path | None = None
    name: ClassVar[str] = "mtfl"

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 4096:
            raise UserError(f"size is {self.size}: give 8 to 4096 pixels")
        if not 0 <= self.margin <= 10:
            raise UserError(f"margin is {self.margin}: give 0 to 10; {MARGIN} holds the whole face")
        check_share(self.validation)
        if self.boxes is not None and self.crop == "none":
            raise UserError("boxes are given and crop is 'none': leave one of them out")

    def plan(self, source: Path, seed: int, scratch: Path) -> Plan:
        """Read the text files; a UserError when one is missing or gives no face."""
        faces, left_out = read_faces(source, open_files(source, scratch))
        fields = {"image": Field("image", "jpg"), "landmarks": Field("points", shape=(5, 2))}
        fields |= {name: Field("class", classes=classes) for name, classes in CLASSES.items()}
        boxes = None if self.boxes is None else read_boxes(self.boxes)
        records = [
            RawRecord(
                face.key,
                split,
                (face.picture,),
                {"landmarks": face.points, **face.labels},
                None if boxes is None else box_of(face, boxes),
            )
            for split, face in _splits(faces, self.validation, seed)
        ]
        if self.crop == "none":
            return Plan(fields, records, _keep, left_out, batch=8)
        if boxes is None:
            return Plan(fields, records, partial(_crop, size=self.size, margin=self.margin), left_out, batch=8)
        return Plan(fields, records, partial(_crop_box, size=self.size), left_out, {"crop": "boxes"}, batch=8)


def _splits(faces: Mapping[str, Sequence[Face]], validation: float, seed: int) -> list[tuple[str, Face]]:
    """Return each face with its split, in the order of the text files."""
    count = len(faces["train"])
    held_out = set(np.random.default_rng(seed).permutation(count)[: max(round(validation * count), 1)].tolist())
    train = [("validation" if number in held_out else "train", face) for number, face in enumerate(faces["train"])]
    return [*train, *(("test", face) for face in faces["test"])]


def _crop(record: RawRecord, size: int, margin: float) -> PackedSample:
    """Return the face cropped to ``size`` pixels."""
    picture_HWC = _decode(record, record.read())
    return _face(record, *crop_face(picture_HWC, np.array(record.labels["landmarks"]), size, margin))


def _crop_box(record: RawRecord, size: int) -> PackedSample:
    """Return the face cropped to ``size`` pixels as its box says."""
    if record.detail is None:
        raise ValueError("no box holds the middle of the face's landmarks")
    picture_HWC = _decode(record, record.read())
    return _face(record, *crop_box(picture_HWC, np.array(record.labels["landmarks"]), size, record.detail))


def _face(record: RawRecord, crop_SSC: np.ndarray, points_P2: np.ndarray) -> PackedSample:
    points = tuple((round(float(x), 3), round(float(y), 3)) for x, y in points_P2)
    return PackedSample({"jpg": encode_jpeg(crop_SSC)}, {**record.labels, "landmarks": points})


def _keep(record: RawRecord) -> PackedSample:
    """Return the whole picture as it is."""
    stored = record.read()
    _decode(record, stored)
    if not stored.startswith(JPEG):
        raise ValueError("the picture is not a JPEG")
    return PackedSample({"jpg": stored}, record.labels)


def _decode(record: RawRecord, stored: bytes) -> np.ndarray:
    picture_HWC = decode_image(stored)
    points_P2, extent = np.array(record.labels["landmarks"]), np.array(picture_HWC.shape[1::-1])
    if ((points_P2 < -_OUTSIDE * extent) | (points_P2 > (1 + _OUTSIDE) * extent)).any():
        raise ValueError(f"landmarks lie outside the picture of {extent[0]} × {extent[1]} pixels")
    check_sides_of_eyes("landmarks", points_P2, (0, 1))
    return picture_HWC


pack_mtfl = packer(Mtfl)
