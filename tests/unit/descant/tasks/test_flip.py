"""Labels with a side follow a mirrored image; a task that does not say how is refused before anything trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from descant import BinaryAttributes, Classification, Landmarks, Regression, Task
from descant.data.description import Field
from descant.errors import UserError
from descant.inputs import ImageInput, View
from descant.pack.mtfl_files import CLASSES
from descant_tasks.face_landmarks import FaceLandmarks
from descant_tasks.gender import Gender
from descant_tasks.pose import Pose

FIELDS = {
    "image": Field("image", "jpg"),
    "landmarks": Field("points", shape=(5, 2)),
    "spot": Field("points", shape=(1, 2)),
    "turned": Field("class", classes=("left", "ahead", "right")),
    "closed": Field("number", shape=(3,)),
    "age": Field("number"),
    **{name: Field("class", classes=classes) for name, classes in CLASSES.items()},
}
SHAPES = {"image": (3, 20, 30)}
FACE = [[8.0, 5.0], [20.0, 6.0], [14.0, 10.0], [9.0, 15.0], [19.0, 14.0]]


def views(flip: float) -> dict[str, View]:
    image = ImageInput("image", FIELDS, size=[20, 30], augment={"flip": flip, "degrees": 1e-9})
    return {"image": image.train_view(np.zeros((20, 30, 3), np.uint8), np.random.default_rng(0))}


def made(kind: type[Task], **attributes: Any) -> Task:
    return type(kind.__name__, (kind,), attributes)("mine", FIELDS, SHAPES)


def test_left_and_right_points_change_places() -> None:
    task = made(FaceLandmarks)
    task.check_mirrored()
    expected = np.asarray([[9, 6], [21, 5], [15, 10], [10, 14], [20, 15]]) / 30
    np.testing.assert_allclose(task.target(FACE, views(1.0)), expected, rtol=1e-6)
    np.testing.assert_allclose(task.target(FACE, views(0.0)), np.asarray(FACE) / 30, rtol=1e-6)
    np.testing.assert_allclose(task.target(FACE, {}), FACE)
    found = task.target(FACE, views(1.0))
    assert found[0, 0] < found[1, 0] and found[3, 0] < found[4, 0], "the left eye is still on the left"


def test_poses_change_sides_and_a_gender_does_not() -> None:
    pose = made(Pose)
    pose.check_mirrored()
    assert [int(pose.target(label, views(1.0))) for label in range(5)] == [4, 3, 2, 1, 0]
    assert [int(pose.target(label, views(0.0))) for label in range(5)] == [0, 1, 2, 3, 4]
    assert int(pose.target("left", views(1.0))) == 3
    gender = made(Gender)
    gender.check_mirrored()
    assert [int(gender.target(label, views(1.0))) for label in range(2)] == [0, 1]


def test_attributes_change_sides_with_their_unknowns() -> None:
    names = ("left eye", "right eye", "mouth")
    task = made(BinaryAttributes, label="closed", attributes=names, flip_attributes={"left eye": "right eye"})
    task.check_mirrored()
    np.testing.assert_array_equal(task.target([1, None, 0], views(1.0)), np.float32([np.nan, 1, 0]))
    np.testing.assert_array_equal(task.target([1, None, 0], views(0.0)), np.float32([1, np.nan, 0]))


def test_numbers_stay() -> None:
    age = made(Regression, label="age")
    age.check_mirrored()
    np.testing.assert_array_equal(age.target(31.5, views(1.0)), age.target(31.5, views(0.0)))


def test_what_has_no_side_needs_no_word_and_none_can_be_said() -> None:
    made(Landmarks, label="spot", eyes=(0, 0)).check_mirrored()
    made(Landmarks, label="landmarks", flip_pairs=()).check_mirrored()
    made(Classification, label="turned", flip_classes={}).check_mirrored()
    made(Classification, label="smile").check_mirrored()


@pytest.mark.parametrize(
    ("kind", "attributes", "said"),
    [
        (Landmarks, {"label": "landmarks"}, r"which of its 5 points are exchanged.*'flip_pairs'.*take 'flip' out"),
        (Classification, {"label": "turned"}, r"has 'left', which the other side.*'flip_classes'"),
        (Classification, {"label": "turned", "flip_classes": {"left": "rigth"}}, r"exchanges 'left' and 'rigth', but"),
        (Classification, {"label": "smile", "flip_classes": {"west": "east"}}, r"exchanges 'east' and 'west', but"),
        (
            Classification,
            {"label": "turned", "flip_classes": {"left": "right", "ahead": "right"}},
            r"gives 'right' more than one partner",
        ),
        (BinaryAttributes, {"label": "closed", "attributes": ("left", "b", "c")}, r"'flip_attributes'"),
    ],
)
def test_labels_that_cannot_follow_are_refused_in_one_sentence(
    kind: type[Task], attributes: dict[str, Any], said: str
) -> None:
    task = made(kind, **attributes)
    with pytest.raises(UserError, match=said):
        task.check_mirrored()


@pytest.mark.parametrize("pairs", [((0, 5),), ((0, 1), (1, 2)), ((-1, 0),), ((2, 2),)])
def test_pairs_are_of_points_that_there_are(pairs: tuple[tuple[int, int], ...]) -> None:
    task = made(Landmarks, label="landmarks", flip_pairs=pairs)
    with pytest.raises(UserError, match="give pairs of two of its points, 0 to 4, each point once at most"):
        task.check_mirrored()
