"""``descant pack mtfl``: the Multi-Task Facial Landmark data (Zhang et al., ECCV 2014) into shards."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from descant.data.decode import decode_image
from descant.data.description import Description, Field
from descant.errors import UserError
from descant.pack.face_crop import MARGIN, crop_face
from descant.pack.files import open_files
from descant.pack.mtfl_files import CLASSES, Face, LeftOut, read_faces
from descant.pack.parallel import Progress, in_order
from descant.pack.writer import SHARD_SIZE, DataSetWriter

_QUALITY = 95
_JPEG_MAGIC = b"\xff\xd8"
_OUTSIDE = 0.25  # how far a landmark may lie beyond the border, in widths and heights of the picture


@dataclass(frozen=True)
class _Packed:
    """A packed face, or the reason why it is left out."""

    jpg: bytes = b""
    points: tuple[tuple[float, float], ...] = ()
    reason: str = ""


def pack_mtfl(
    source: Path,
    out: Path,
    *,
    size: int = 96,
    margin: float = MARGIN,
    crop: Literal["face", "none"] = "face",
    validation: float = 0.1,
    seed: int = 0,
    jobs: int | None = None,
    shard_size: int = SHARD_SIZE,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Description:
    """Pack MTFL's files into a data set with the labels landmarks, gender, smile, glasses and pose.

    Landmarks are (x, y) in pixels of the stored picture, counted from the centre of its first pixel.

    Args:
        source: the folder with training.txt and testing.txt, one that holds such a folder, or a tar or tar.gz of it.
        out: the data set to be made.
        size: side of a stored face in pixels.
        margin: room around the landmarks, in multiples of their spread (see ``crop_face``).
        crop: ``face`` stores a square around the true landmarks, so that training and test faces have one scale
            (errors measured on it are lower than behind a face detector: centre and size are given away); ``none``
            the pictures as they are.
        validation: share of the training file that becomes the validation split.
        seed: of that choice.
        jobs: processes; all cores if None.
        shard_size: bytes of a shard.
        overwrite: replace the data set in ``out``.
        on_progress: called with (faces done, faces in all).

    Raises:
        UserError: no such files, no readable face, an empty split, a class without training faces.
    """
    _check(size, margin, validation)
    fields = {"image": Field("image", "jpg"), "landmarks": Field("points", shape=(5, 2))}
    fields |= {name: Field("class", classes=classes) for name, classes in CLASSES.items()}
    options = {"size": size, "margin": margin, "crop": crop, "validation": validation}
    pack = functools.partial(_pack_face, size=size if crop == "face" else None, margin=margin)
    with DataSetWriter(out, "mtfl", fields, shard_size=shard_size, overwrite=overwrite) as writer:
        with open_files(source) as files:
            faces, left_out = read_faces(source, files)
            placed = _splits(faces, validation, seed)
            results = in_order(pack, [face for _, face in placed], jobs, on_progress)
            _write(writer, placed, results, left_out)
        provenance = {"command": "descant pack mtfl", "source": source.resolve().name, "seed": seed, "options": options}
        return writer.finish({**provenance, "left_out": left_out})


def _check(size: int, margin: float, validation: float) -> None:
    if not 8 <= size <= 4096:
        raise UserError(f"size is {size}: give 8 to 4096 pixels")
    if not 0 <= margin <= 10:
        raise UserError(f"margin is {margin}: give 0 to 10; {MARGIN} holds the whole face")
    if not 0 < validation < 1:
        raise UserError(f"validation is {validation}: give a share between 0 and 1, such as 0.1")


def _splits(faces: Mapping[str, Sequence[Face]], validation: float, seed: int) -> list[tuple[str, Face]]:
    """Return each face with its split, in the order of the text files."""
    count = len(faces["train"])
    held_out = set(np.random.default_rng(seed).permutation(count)[: max(round(validation * count), 1)].tolist())
    train = [("validation" if number in held_out else "train", face) for number, face in enumerate(faces["train"])]
    return [*train, *(("test", face) for face in faces["test"])]


def _write(
    writer: DataSetWriter, placed: Sequence[tuple[str, Face]], results: Iterable[_Packed], left_out: LeftOut
) -> None:
    for (split, face), packed in zip(placed, results, strict=True):
        if packed.reason:
            left_out.append({"key": face.key, "reason": packed.reason})
        else:
            labels = {"landmarks": packed.points, **face.labels}
            writer.add(split, face.key, {"jpg": packed.jpg}, labels)


def _pack_face(face: Face, size: int | None, margin: float) -> _Packed:
    """Return the face cropped to ``size`` pixels, the whole picture as it is if None, or why it is left out."""
    try:
        stored = face.picture.read()
        picture_HWC = decode_image(stored)
    except ValueError as error:
        return _Packed(reason=str(error))
    points_P2, extent = np.array(face.points), np.array(picture_HWC.shape[1::-1])
    if ((points_P2 < -_OUTSIDE * extent) | (points_P2 > (1 + _OUTSIDE) * extent)).any():
        return _Packed(reason=f"landmarks lie outside the picture of {extent[0]} × {extent[1]} pixels")
    if size is None:
        is_jpeg = stored.startswith(_JPEG_MAGIC)
        return _Packed(stored, face.points) if is_jpeg else _Packed(reason="the picture is not a JPEG")
    import simplejpeg

    crop_SSC, points_P2 = crop_face(picture_HWC, points_P2, size, margin)
    jpg = simplejpeg.encode_jpeg(np.ascontiguousarray(crop_SSC), quality=_QUALITY, colorspace="RGB")
    return _Packed(jpg, tuple((round(float(x), 3), round(float(y), 3)) for x, y in points_P2))
