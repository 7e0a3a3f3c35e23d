"""The raw layouts that ``descant pack`` takes: one entry each, with its options on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PackFormat:
    """How the command line offers a layout; ``pack_NAME`` in the module ``descant.pack.NAME`` packs it.

    Attributes:
        help: what it is, in a line.
        source: what SOURCE is.
        counted: what its progress counts.
        options: the keyword arguments of ``pack_NAME`` by flag, each with those of ``add_argument``.
    """

    help: str
    source: str
    counted: str
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_VALIDATION: Mapping[str, Any] = {
    "type": float,
    "default": 0.1,
    "metavar": "SHARE",
    "help": "share of each training class that becomes the validation split (default: %(default)s)",
}
_LABEL: Mapping[str, Any] = {"default": "class", "metavar": "NAME", "help": "the label's name (default: %(default)s)"}
_MEDIA: Mapping[str, Mapping[str, Any]] = {
    "--input": {
        "choices": ("auto", "audio", "image"),
        "default": "auto",
        "help": "which files to pack; auto: what there is (default: %(default)s)",
    },
    "--rate-hz": {
        "type": int,
        "default": 16_000,
        "metavar": "HZ",
        "help": "of stored audio, which is FLAC, mono (default: %(default)s)",
    },
    "--mels": {"action": "store_true", "help": "store ready float16 log-mels instead of FLAC"},
    "--min-seconds": {"type": float, "metavar": "S", "help": "leave out shorter audio (default: none)"},
    "--size": {
        "type": int,
        "metavar": "PIXELS",
        "help": "bring the shorter side of pictures to it (default: as they are)",
    },
}
FORMATS = {
    "fma": PackFormat(
        help="the Free Music Archive's clips, with the label genre",
        source="the folder of clips NNN/NNNNNN.mp3",
        counted="clips",
        options={
            "--tracks": {"type": Path, "help": "tracks.csv (default: in SOURCE, or in fma_metadata beside it)"},
            "--subset": {
                "choices": ("small", "medium", "large"),
                "help": "default: every track whose clip is there",
            },
            "--split": {
                "choices": ("auto", "fma", "random"),
                "default": "auto",
                "help": "fma: that of tracks.csv; random: 70/10/20 within each genre; auto: that of tracks.csv where "
                "every track has one, else random (default: %(default)s)",
            },
            "--rate-hz": {
                "type": int,
                "default": 16_000,
                "metavar": "HZ",
                "help": "of the stored clips, mono (default: %(default)s)",
            },
            "--mels": {"action": "store_true", "help": "store ready float16 log-mels instead of FLAC"},
            "--min-seconds": {
                "type": float,
                "default": 5.0,
                "metavar": "S",
                "help": "leave out shorter clips (default: %(default)s)",
            },
        },
    ),
    "mtfl": PackFormat(
        help="MTFL's faces, with landmarks, pose, gender, glasses and smile",
        source="the folder with training.txt and testing.txt, or a tar or tar.gz of it",
        counted="faces",
        options={
            "--size": {
                "type": int,
                "default": 96,
                "metavar": "PIXELS",
                "help": "side of a stored face (default: %(default)s)",
            },
            "--margin": {
                "type": float,
                "default": 1.2,
                "help": "room around the landmarks, in multiples of their spread (default: %(default)s)",
            },
            "--crop": {
                "choices": ("face", "none"),
                "default": "face",
                "help": "face: a square around the landmarks; none: the pictures as they are (default: %(default)s)",
            },
            "--boxes": {
                "type": Path,
                "metavar": "FILE",
                "help": "crop around a face detector's boxes: lines of path, left, top, right, bottom (default: none)",
            },
            "--validation": {
                "type": float,
                "default": 0.1,
                "metavar": "SHARE",
                "help": "share of the training faces that becomes the validation split (default: %(default)s)",
            },
        },
    ),
    "cifar100": PackFormat(
        help="CIFAR-100's binary version, with the labels fine and coarse",
        source="the folder with train.bin and test.bin, or a tar or tar.gz of it",
        counted="pictures",
        options={"--validation": _VALIDATION},
    ),
    "idx": PackFormat(
        help="idx files of the MNIST family, one picture a sample or two on one canvas",
        source="the folder with train-images-idx3-ubyte and its three fellows, gzipped or not",
        counted="pictures",
        options={
            "--pairs": {
                "action": "store_true",
                "help": "put two pictures on one canvas, with the labels top_left and bottom_right",
            },
            "--label": _LABEL,
            "--classes": {
                "metavar": "NAMES",
                "help": "the classes' names, separated by commas (default: their numbers)",
            },
            "--validation": _VALIDATION,
        },
    ),
    "folder": PackFormat(
        help="a folder for each class, of audio files or pictures",
        source="a folder, tar or tar.gz of CLASS/FILE, or of SPLIT/CLASS/FILE",
        counted="files",
        options={"--label": _LABEL, "--validation": _VALIDATION, **_MEDIA},
    ),
    "csv": PackFormat(
        help="audio files or pictures that a table lists, with any labels",
        source="the csv file",
        counted="files",
        options={
            "--root": {
                "type": Path,
                "metavar": "FOLDER",
                "help": "where the paths start from (default: the table's folder)",
            },
            "--path-column": {
                "metavar": "NAME",
                "help": "the column of paths (default: the one called path, file, filename, image or audio)",
            },
            "--split-column": {
                "metavar": "NAME",
                "help": "the column of splits (default: the one called split; without one, a seeded 70/10/20)",
            },
            "--label": {
                "action": "append",
                "metavar": "NAME=KIND",
                "help": "what a column means: class, number, or none for no label; may be given several times "
                "(default: numbers are numbers, few different texts are classes)",
            },
            **_MEDIA,
        },
    ),
}
"""The layouts by name, in the order in which help lists them."""
