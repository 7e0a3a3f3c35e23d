"""Rendered faces in MTFL's raw layout: ``training.txt``, ``testing.txt`` and the folders of images they name.

Layout after Zhang et al., "Facial Landmark Detection by Deep Multi-task Learning", ECCV 2014: 15 white-space fields
(path, x1..x5, y1..y5, gender, smile, glasses, pose), a leading space, CRLF, and ``\\`` in the training paths only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from descant.demo.face_shape import Attributes, FaceShape, draw_shape
from descant.demo.staging import run_all, staged_folder
from descant.errors import UserError
from descant.parallel import Progress

SMALLEST_SPLIT = 20
_SHARES = {
    "gender": {1: 0.55, 2: 0.45},
    "smile": {1: 0.5, 2: 0.5},
    "glasses": {1: 0.15, 2: 0.85},
    "pose": {1: 0.05, 2: 0.12, 3: 0.66, 4: 0.12, 5: 0.05},
}


@dataclass(frozen=True)
class FaceFile:
    """One face to render: ``path`` within the corpus, what it shows, and the seed of all its random numbers."""

    path: str
    attributes: Attributes
    seed: tuple[int, int, int]

    def random(self) -> tuple[FaceShape, np.random.Generator]:
        """Return the face's shape and the generator to draw it with."""
        rng = np.random.default_rng(self.seed)
        return draw_shape(self.attributes, rng), rng


def make_faces(
    folder: Path,
    *,
    seed: int = 0,
    train: int = 400,
    test: int = 100,
    jobs: int | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Write ``train`` and ``test`` JPEG faces and MTFL's two text files into ``folder``, new or empty.

    The bytes depend on (seed, train, test) alone, whatever ``jobs`` is. Every split has every class of every
    attribute. Raises UserError for numbers that cannot work; leaves nothing behind on failure.
    """
    for split, count in (("train", train), ("test", test)):
        if count < SMALLEST_SPLIT:
            raise UserError(f"{split} is {count}: give {SMALLEST_SPLIT} or more, so that the split has every class")
    splits = {"training.txt": _train_files(train, seed), "testing.txt": _test_files(test, seed)}
    files = [file for members in splits.values() for file in members]
    with staged_folder(folder) as staging:
        for file in files:
            (staging / file.path).parent.mkdir(exist_ok=True)
        run_all(partial(_write_image, staging), files, jobs, on_progress)
        for name, members in splits.items():
            separator = "\\" if name == "training.txt" else "/"
            text = "".join(_line(file, separator) for file in members)
            (staging / name).write_bytes(text.encode("ascii"))


def _train_files(count: int, seed: int) -> list[FaceFile]:
    """The first half stands for the Labeled Faces in the Wild, the other for pictures from the net."""
    half = (count + 1) // 2
    paths = [f"lfw_5590/Demo_Face_{number:04d}.jpg" for number in range(1, half + 1)]
    paths += [f"net_7876/_{number // 1000}_{number % 1000}_0.jpg" for number in range(1, count - half + 1)]
    return _files(paths, seed, 0)


def _test_files(count: int, seed: int) -> list[FaceFile]:
    return _files([f"AFLW/{number:04d}-image{20000 + 7 * number}.jpg" for number in range(1, count + 1)], seed, 1)


def _files(paths: list[str], seed: int, split: int) -> list[FaceFile]:
    rng = np.random.default_rng([seed, split])
    codes = {name: _codes(len(paths), shares, rng) for name, shares in _SHARES.items()}
    return [
        FaceFile(path, Attributes(**{name: codes[name][index] for name in codes}), (seed, split, index + 1))
        for index, path in enumerate(paths)
    ]


def _codes(count: int, shares: dict[int, float], rng: np.random.Generator) -> list[int]:
    """Return ``count`` codes in random order, each with its share, at least one of each."""
    usual = max(shares, key=lambda code: shares[code])
    codes = [code for code in shares if code != usual for _ in range(max(1, round(shares[code] * count)))]
    codes += [usual] * (count - len(codes))
    return [int(code) for code in rng.permutation(codes)]


def _write_image(folder: Path, file: FaceFile) -> None:
    from descant.demo.face_drawing import draw_face

    shape, rng = file.random()
    draw_face(shape, file.attributes, rng).save(folder / file.path, "JPEG", quality=int(rng.integers(75, 96)))


def _line(file: FaceFile, separator: str) -> str:
    points_P2, of = file.random()[0].landmarks(), file.attributes
    numbers = " ".join(f"{value:.6f}" for value in points_P2.T.reshape(-1))
    return f" {file.path.replace('/', separator)} {numbers} {of.gender} {of.smile} {of.glasses} {of.pose}\r\n"
