"""``descant pack cifar100``: CIFAR-100's binary version (Krizhevsky 2009) into shards.

``train.bin`` and ``test.bin`` hold, for each picture, a coarse label, a fine label, and 32 × 32 red, green and blue
bytes, a colour after the other. The labels' names are lines of ``coarse_label_names.txt`` and
``fine_label_names.txt``. The Python version, which is a pickle, is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from descant.data.description import Field
from descant.errors import UserError
from descant.pack.files import StoredFile, open_files
from descant.pack.packing import packer
from descant.pack.picture import encode_png
from descant.pack.record import Format, LeftOut, PackedSample, Plan, RawRecord
from descant.pack.splits import check_share, with_validation

_BINS = {"train": "train.bin", "test": "test.bin"}
_NAMES = {"coarse": "coarse_label_names.txt", "fine": "fine_label_names.txt"}
_SIDE = 32
_LABELS = len(_NAMES)
_BYTES = _LABELS + 3 * _SIDE**2
_BATCH = 64


@dataclass(frozen=True)
class Cifar100(Format):
    """The folder with train.bin and test.bin, one that holds such a folder, or a tar or tar.gz of it.

    The labels are ``fine`` and ``coarse``; pictures are PNG.

    Attributes:
        validation: share of each fine class of train.bin that becomes the validation split.
    """

    validation: float = 0.1
    name: ClassVar[str] = "cifar100"

    def __post_init__(self) -> None:
        check_share(self.validation)

    def plan(self, source: Path, seed: int, scratch: Path) -> Plan:
        """Read the labels; a UserError when a file is missing, cut off or of another version."""
        files = _find(source, open_files(source, scratch))
        classes = {label: _read_names(source, name, files[name]) for label, name in _NAMES.items()}
        records: list[RawRecord] = []
        left_out: list[LeftOut] = []
        for split, name in _BINS.items():
            labels_NL = _read_labels(source, name, files[name])
            splits = [split] * len(labels_NL)
            if split == "train":
                splits = with_validation(labels_NL[:, 1].tolist(), self.validation, seed)
            for number, (own, codes) in enumerate(zip(splits, labels_NL.tolist(), strict=True)):
                labels = dict(zip(_NAMES, codes, strict=True))
                key = f"{split}-{number:05d}"
                wrong = [f"{label} is {code}" for label, code in labels.items() if code >= len(classes[label])]
                if wrong:
                    left_out.append({"key": key, "reason": f"{' and '.join(wrong)}, for which there is no name"})
                    continue
                pixels = files[name].part(number * _BYTES + _LABELS, _BYTES - _LABELS)
                records.append(RawRecord(key, own, (pixels,), labels))
        fields = {"image": Field("image", "png")}
        fields |= {label: Field("class", classes=classes[label]) for label in ("fine", "coarse")}
        return Plan(fields, records, _encode, left_out, batch=_BATCH)


def _find(source: Path, files: Mapping[str, StoredFile]) -> dict[str, StoredFile]:
    """Return the four files by name, from the outermost folder that holds train.bin."""
    trains = [path for path in files if path.rpartition("/")[2] == _BINS["train"]]
    prefix = min(trains, key=lambda path: (path.count("/"), path), default="").removesuffix(_BINS["train"])
    names = [*_BINS.values(), *_NAMES.values()]
    missing = [name for name in names if prefix + name not in files]
    if missing:
        raise UserError(
            f"there is no {' and no '.join(missing)} in {str(source)!r}: give the folder or the tar.gz of CIFAR-100's "
            f"binary version (the Python version is a pickle, which is not read)"
        )
    return {name: files[prefix + name] for name in names}


def _read_names(source: Path, name: str, file: StoredFile) -> tuple[str, ...]:
    names = tuple(file.read().decode("utf-8", errors="replace").split())
    if not names or len(set(names)) != len(names):
        raise UserError(f"{name} in {str(source)!r} must name each class once, in a line of its own")
    return names


def _read_labels(source: Path, name: str, file: StoredFile) -> np.ndarray:
    """Return the coarse and the fine label of each picture, (N, 2)."""
    content = np.frombuffer(file.read(), np.uint8)
    if content.size == 0 or content.size % _BYTES:
        raise UserError(
            f"{name} in {str(source)!r} has {content.size:,} bytes, which are no whole pictures of {_BYTES:,} bytes: "
            f"it is cut off, or of another version than CIFAR-100's binary one"
        )
    labels_NL: np.ndarray = content.reshape(-1, _BYTES)[:, :_LABELS].copy()
    return labels_NL


def _encode(record: RawRecord) -> PackedSample:
    pixels_CHW = np.frombuffer(record.read(), np.uint8).reshape(3, _SIDE, _SIDE)
    return PackedSample({"png": encode_png(pixels_CHW.transpose(1, 2, 0).copy())}, record.labels)


pack_cifar100 = packer(Cifar100)
