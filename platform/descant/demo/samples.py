"""A handful of made-up samples of any fields: for tests that train a step or two, where nothing is to be learnt."""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from descant.data.description import Description, Field, Split, fingerprint
from descant.data.index import load_indexes
from descant.errors import UserError

SIDE_PX, SECONDS, RATE_HZ = 64, 1.0, 16_000
MEL = (64, 128)  # frames and bands of an array that has no shape

Counts = Mapping[str, int]
SAMPLES: Counts = {"train": 8, "validation": 4, "test": 4}


def make_samples(folder: Path, fields: Mapping[str, Field], samples: Counts = SAMPLES) -> Path:
    """Write a data set of noise with labels of all ``fields`` into ``folder``, and return ``folder``.

    Args:
        folder: where to; it is made.
        fields: inputs (audio, images, arrays) and labels by name.
        samples: how many by split.

    Raises:
        UserError: there is no input among the fields, or one of text.
    """
    if all(field.is_label for field in fields.values()):
        raise UserError(f"the fields {', '.join(fields)} are labels: give an input too, of audio, images or arrays")
    folder.mkdir(parents=True, exist_ok=True)
    rng, splits, indexes = np.random.default_rng(0), {}, {}
    for split, count in samples.items():
        path = folder / f"{split}-000000.tar"
        with tarfile.open(path, "w") as tar:
            for number in range(count):
                for extension, content in _sample(fields, number, rng).items():
                    info = tarfile.TarInfo(f"{number:04d}.{extension}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        splits[split] = Split(count, (path.name,))
        indexes[split] = load_indexes([path])
    Description("samples", dict(fields), splits, fingerprint(indexes)).write(folder)
    return folder


def _sample(fields: Mapping[str, Field], number: int, rng: np.random.Generator) -> dict[str, bytes]:
    """Return a sample's members by extension."""
    members, labels = {}, {}
    for name, field in fields.items():
        if field.is_label:
            labels[name] = _label(field, number, rng)
        else:
            members[_extension(field)] = _input(name, field, rng)
    return {**members, "json": json.dumps(labels).encode()}


def _label(field: Field, number: int, rng: np.random.Generator) -> Any:
    if field.kind == "class":
        return number % max(len(field.classes), 1)
    if field.kind == "points":  # from the upper left to the lower right, so that left eyes are left
        points = (field.shape or (2,))[0]
        return [[place, place] for place in np.linspace(0.2, 0.8, points).round(3) * SIDE_PX]
    numbers = rng.random(field.shape or (1,)).round(3)
    return float(numbers[0]) if numbers.shape == (1,) else numbers.tolist()


def _input(name: str, field: Field, rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    if field.kind == "array":
        np.save(buffer, rng.uniform(-1.0, 1.0, _shape(field)).astype(np.float32))
    elif field.kind == "image":
        from PIL import Image

        pixels_HWC = rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
        Image.fromarray(pixels_HWC).save(buffer, "JPEG" if _extension(field) in ("jpg", "jpeg") else "PNG")
    elif field.kind == "audio":
        import soundfile

        rate_hz = field.rate_hz or RATE_HZ
        noise_N = rng.uniform(-0.5, 0.5, math.ceil(SECONDS * rate_hz)).astype(np.float32)
        soundfile.write(buffer, noise_N, rate_hz, format=_extension(field).upper())
    else:
        raise UserError(f"the field {name!r} is of kind {field.kind}: samples are made up of audio, images and arrays")
    return buffer.getvalue()


def _extension(field: Field) -> str:
    usual = {"audio": "wav", "image": "png", "array": "npy"}.get(field.kind, "txt")
    given = field.extension if isinstance(field.extension, str) else (field.extension or (usual,))[0]
    return given


def _shape(field: Field) -> tuple[int, ...]:
    """Return the array's shape; sizes that differ from sample to sample are made up too."""
    return tuple(size or MEL[0] for size in field.shape) if field.shape else MEL
