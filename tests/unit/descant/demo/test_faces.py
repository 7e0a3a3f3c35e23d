"""The demo faces: MTFL's layout, the same bytes for the same seed, landmarks and attributes that belong together."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from descant.demo import make_faces
from descant.demo.face_shape import Attributes, draw_shape
from descant.errors import UserError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "faces"
    make_faces(folder, seed=2, train=80, test=40, jobs=2)
    return folder


def read_rows(path: Path) -> list[tuple[str, np.ndarray, list[int]]]:
    """Image path, landmarks (5, 2) and the four codes of each line."""
    rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    assert all(len(row) == 15 for row in rows)
    return [(row[0], np.array(row[1:11], float).reshape(2, 5).T, [int(code) for code in row[11:]]) for row in rows]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_gives_same_bytes_whatever_the_jobs(tmp_path: Path) -> None:
    for name, seed, jobs in (("one", 5, 1), ("two", 5, 2), ("other", 6, 1)):
        make_faces(tmp_path / name, seed=seed, train=24, test=20, jobs=jobs)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert not set(digests(tmp_path / "one").values()) & set(digests(tmp_path / "other").values())


def test_text_files_are_as_mtfl_has_them(corpus: Path) -> None:
    for name, count, separator, folders in (
        ("training.txt", 80, "\\", {"lfw_5590", "net_7876"}),
        ("testing.txt", 40, "/", {"AFLW"}),
    ):
        lines = (corpus / name).read_bytes().split(b"\r\n")
        assert lines.pop() == b"" and len(lines) == count
        assert all(line.startswith(b" ") and b"\n" not in line for line in lines)
        assert {path.split(separator)[0] for path, _, _ in read_rows(corpus / name)} == folders


def test_every_line_has_its_image_with_the_landmarks_inside(corpus: Path) -> None:
    named = set()
    for name in ("training.txt", "testing.txt"):
        for path, points_P2, _ in read_rows(corpus / name):
            image_path = corpus / path.replace("\\", "/")
            named.add(image_path)
            with Image.open(image_path) as image:
                image.load()
                assert image.format == "JPEG" and image.mode == "RGB"
                assert (points_P2 > 0).all() and (points_P2 < image.size).all()
    assert set(corpus.rglob("*.jpg")) == named and len(named) == 120


def test_every_split_has_every_class(corpus: Path) -> None:
    for name in ("training.txt", "testing.txt"):
        codes = np.array([codes for _, _, codes in read_rows(corpus / name)])
        assert [sorted(set(column.tolist())) for column in codes.T] == [[1, 2], [1, 2], [1, 2], [1, 2, 3, 4, 5]]


def test_pose_and_smile_show_in_the_landmarks(corpus: Path) -> None:
    rows = read_rows(corpus / "training.txt")
    points_NP2, codes = np.stack([points for _, points, _ in rows]), np.array([codes for _, _, codes in rows])
    eyes_N = points_NP2[:, 1, 0] - points_NP2[:, 0, 0]
    turn_N = (points_NP2[:, 2, 0] - points_NP2[:, :2, 0].mean(axis=1)) / eyes_N
    turns = [turn_N[codes[:, 3] == pose].mean() for pose in range(1, 6)]
    assert turns == sorted(turns) and turns[0] < -0.3 and turns[4] > 0.3
    mouth_N = (points_NP2[:, 4, 0] - points_NP2[:, 3, 0]) / eyes_N
    assert mouth_N[codes[:, 1] == 1].mean() > mouth_N[codes[:, 1] == 2].mean() + 0.05


def test_glasses_are_drawn_over_the_eyes(corpus: Path) -> None:
    """Edges below the eyes, where rims run, are stronger with glasses than without."""
    edges: dict[int, list[float]] = {1: [], 2: []}
    for path, points_P2, (_, _, glasses, pose) in read_rows(corpus / "training.txt"):
        if pose != 3:
            continue
        with Image.open(corpus / path.replace("\\", "/")) as image:
            grey_HW = np.asarray(image.convert("L"), float)
        reach = np.linalg.norm(points_P2[1] - points_P2[0])
        for x, y in points_P2[:2]:
            strip = grey_HW[int(y + 0.15 * reach) : int(y + 0.4 * reach), int(x - 2) : int(x + 3)].mean(axis=1)
            edges[glasses].append(float(np.ptp(strip)) / float(grey_HW.std()))
    assert np.median(edges[1]) > 1.3 * np.median(edges[2])


@settings(max_examples=200, deadline=None)
@given(
    gender=st.integers(1, 2),
    smile=st.integers(1, 2),
    glasses=st.integers(1, 2),
    pose=st.integers(1, 5),
    seed=st.integers(0),
)
def test_landmarks_of_any_face_are_inside_and_in_order(
    gender: int, smile: int, glasses: int, pose: int, seed: int
) -> None:
    shape = draw_shape(Attributes(gender, smile, glasses, pose), np.random.default_rng(seed))
    left_eye, right_eye, nose, left_corner, right_corner = points_P2 = shape.landmarks()
    assert (points_P2 > 2).all() and (points_P2 < shape.side - 2).all()
    assert left_eye[0] < right_eye[0] and left_corner[0] < right_corner[0]
    assert left_eye[1] < left_corner[1] and right_eye[1] < right_corner[1] and nose[1] > min(left_eye[1], right_eye[1])


@pytest.mark.parametrize("wrong", [{"train": 3}, {"test": 0}, {"jobs": 0}])
def test_numbers_that_cannot_work_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        make_faces(tmp_path / "faces", **wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
