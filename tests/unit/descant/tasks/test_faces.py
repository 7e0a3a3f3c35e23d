"""Which labels of points cannot be right: far outside of the image, or with eyes the wrong way round."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from descant.data.description import Field
from descant.pack.files import open_files
from descant.pack.mtfl_files import read_faces
from descant.tasks import BadLabel
from descant.tasks.faces import check_places, check_sides_of_eyes
from descant_tasks.face_landmarks import FaceLandmarks

FACE = np.array([[30.0, 40.0], [70.0, 42.0], [50.0, 60.0], [35.0, 80.0], [66.0, 81.0]])
SWAPPED = FACE[[1, 0, 2, 3, 4]]


def turned(points_PX: np.ndarray, degrees: float) -> np.ndarray:
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (points_PX - 50.0) @ matrix.T + 50.0


@pytest.mark.parametrize("degrees", range(0, 360, 30))
def test_eyes_may_lean_but_not_be_swapped(degrees: float) -> None:
    check_sides_of_eyes("landmarks is …", turned(FACE, degrees), (0, 1))
    for wrong in (SWAPPED, FACE[[1, 0, 2, 4, 3]], FACE * [-1, 1]):
        with pytest.raises(BadLabel, match="its eyes are swapped, point 0 is on the right of point 1; allowed are"):
            check_sides_of_eyes("landmarks is …", turned(wrong, degrees), (0, 1))


def test_what_has_no_sides_is_not_judged() -> None:
    profile = np.array([[50.0, 40.0], [49.0, 40.0], [60.0, 60.0], [50.0, 80.0], [51.0, 80.0]])
    check_sides_of_eyes("a profile, a pixel wrong", profile, (0, 1))
    check_sides_of_eyes("one place", np.zeros((5, 2)), (0, 1))
    check_sides_of_eyes("all in a row", np.array([[60.0, 40.0], [40.0, 40.0], [50.0, 40.0]]), (0, 1))
    check_sides_of_eyes("two points", FACE[:2], (0, 1))
    with pytest.raises(BadLabel):
        check_sides_of_eyes("two points", SWAPPED[:2], (0, 1))


def test_points_may_lie_outside_by_half_the_image() -> None:
    for corner in ([-49.0, -19.0], [149.0, 59.0]):
        check_places("landmarks is …", np.array([[50.0, 20.0], corner]), (100, 40))
    check_places("landmarks is …", np.array([[1e9, 0.0]]), None)
    for corner in ([-51.0, 0.0], [0.0, 61.0], [151.0, 0.0], [0.0, -21.0]):
        with pytest.raises(
            BadLabel, match=r"landmarks is …: point 1 lies outside of the image of 100 × 40 pixels; all"
        ):
            check_places("landmarks is …", np.array([[50.0, 20.0], corner]), (100, 40))


def test_a_task_checks_both_and_eyes_only_where_they_are_eyes() -> None:
    task = FaceLandmarks("face", {"landmarks": Field("points", shape=(5, 2))}, {})
    task.check_label(FACE, (100, 100))
    with pytest.raises(BadLabel, match=r"^landmarks is \[\[70.0, 42.0\], .*swapped"):
        task.check_label(SWAPPED, (100, 100))
    with pytest.raises(BadLabel, match="outside"):
        task.check_label(10 * FACE, (100, 100))
    task.left_eye_first = False
    task.check_label(SWAPPED, (100, 100))


def test_no_real_face_is_refused_and_each_with_swapped_eyes_is(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "mtfl.tar"
    faces, _ = read_faces(source, open_files(source, tmp_path))
    points = [np.array(face.points) for split in faces.values() for face in split]
    assert len(points) > 10_000
    for points_PX in points:
        check_sides_of_eyes("", points_PX, (0, 1))
        with pytest.raises(BadLabel):
            check_sides_of_eyes("", points_PX[[1, 0, 2, 3, 4]], (0, 1))
