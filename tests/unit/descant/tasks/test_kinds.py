"""Every ready kind of task keeps the same contract: target, head, loss, prediction and metrics fit each other."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from descant import BinaryAttributes, Classification, Landmarks, Reconstruction, Regression, Task
from descant.data.description import Field
from descant.errors import UserError
from descant.inputs import Geometry, View
from descant.tasks import BadLabel
from descant.tasks.ssim import ssim

FIELDS = {
    "mel": Field("array", "npy", shape=(6, 4)),
    "genre": Field("class", classes=("jazz", "folk", "rock"), counts=(5, 3, 2)),
    "age": Field("number"),
    "pair": Field("number", shape=(2,)),
    "traits": Field("number", shape=(3,)),
    "eyes": Field("points", shape=(3, 2)),
}
INPUTS = {"mel": (6, 4)}
VIEWS = {"image": View({}, Geometry.scaling(0.1))}


class Genre(Classification):
    label = "genre"


class Age(Regression):
    label = "age"


class Pair(Regression):
    label = "pair"


class Traits(BinaryAttributes):
    label = "traits"
    attributes = ("kind", "loud", "late")


class Eyes(Landmarks):
    label = "eyes"


@dataclass(frozen=True)
class Case:
    kind: type[Task]
    good: tuple[Any, ...]
    bad: tuple[Any, ...]
    weight: float


CASES = [
    Case(Genre, (0, 2, "folk"), (3, -1, 1.5, "pop", [1], {"a": 1}, 2**63, 10**30, 1e400), 0.3),
    Case(
        Age,
        (3, 2.5, [4], -1e9, 1e15),
        ("old", [1, 2], {}, math.nan, math.inf, [[1], [2, 3]], 1e39, 1e300, 10**16, 10**400),
        0.2,
    ),
    Case(Pair, ([1, 2], [[0.5], [3]]), (1, [1, 2, 3], [1, math.nan], [1, -1e39]), 0.2),
    Case(Traits, ([0, 1, None], [True, False, 1]), ([0, 1], [0, 1, 2], "yes", 1, [0, 1, math.nan], [0, 1, 2**64]), 0.3),
    Case(
        Eyes,
        ([[1, 2], [3, 4], [5, 6.5]],),
        (
            [[1, 2]],
            3,
            "x",
            [[1, 2], [3, 4], [5, math.inf]],
            [[1e39, 0], [3, 4], [5, 6]],
            [[1, 2], [3, 4], [5, 10**400]],
            None,
        ),
        0.2,
    ),
]


def made(kind: type[Task], **options: Any) -> Task:
    return kind("mine", FIELDS, INPUTS, **options)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind.__name__)
def test_labels_become_targets_that_stack_with_blanks_and_train_the_head(case: Case) -> None:
    task = made(case.kind)
    blank = task.blank()
    targets = [task.target(json.loads(json.dumps(label)), VIEWS) for label in case.good]
    assert all(target.shape == blank.shape and target.dtype == blank.dtype for target in targets)
    target = torch.from_numpy(np.stack([*targets, blank]))
    head = task.head((5,))
    output = head(torch.randn(len(target), 5, generator=torch.Generator().manual_seed(0)))
    losses_B = task.loss(output, target)
    assert losses_B.shape == (len(target),)
    assert losses_B.isfinite().all()
    losses_B.sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    prediction = task.predict(output.detach())
    for metric in task.metrics().values():
        statistics = metric.statistics(prediction, target)
        assert statistics.shape[0] == len(target)
        assert math.isfinite(metric.value(statistics.double().sum(0).numpy()))
        assert math.isnan(metric.value(np.zeros(statistics.shape[1]))), "no sample, no value"
    json.dumps(task.answer(prediction[0].numpy(), VIEWS["image"]), allow_nan=False)
    assert task.default_weight == case.weight


@pytest.mark.parametrize(("case", "label"), [(case, label) for case in CASES for label in case.bad], ids=lambda x: "")
def test_a_label_that_cannot_teach_is_refused(case: Case, label: Any) -> None:
    with pytest.raises(BadLabel, match=f"{case.kind.label} is .*allowed"):
        made(case.kind).target(label, VIEWS)


def test_points_go_the_way_of_the_image_and_back() -> None:
    task = made(Eyes)
    pixels = [[1, 2], [3, 4], [5, 6.5]]
    target = task.target(pixels, VIEWS)
    np.testing.assert_allclose(target, np.asarray(pixels) * 0.1, rtol=1e-6)
    assert task.answer(target, VIEWS["image"])["points"] == [pytest.approx(point) for point in pixels]
    assert task.answer(target, None)["points"][0] == pytest.approx([0.1, 0.2])


def test_points_in_another_layout_are_refused() -> None:
    with pytest.raises(BadLabel):
        made(Eyes).target([[1, 3, 5], [2, 4, 6]], VIEWS)


def test_classes_are_matched_by_name_and_counted_in_the_tasks_order() -> None:
    class Mine(Classification):
        label = "genre"
        classes = ("rock", "jazz", "folk")

    task = made(Mine)
    assert [int(task.target(label, {})) for label in (0, 1, 2, "rock")] == [1, 2, 0, 0]
    assert isinstance(task, Mine)
    assert task.class_counts() == [2, 5, 3]
    assert task.metrics()["accuracy"].chance == 0.5
    probabilities = np.asarray([0.2, 0.7, 0.1])
    assert task.answer(probabilities, None)["class"] == "jazz"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: made(type("T", (Classification,), {"label": "gnre"})),
            "which the data set lacks: did you mean 'genre'",
        ),
        (lambda: made(type("T", (Classification,), {"label": "age"})), "needs a label of kind class, but 'age'"),
        (lambda: made(type("T", (Classification,), {"label": "genre", "classes": ("a",)})), "give at least two"),
        (lambda: made(type("T", (Classification,), {"label": "genre", "classes": ("a", "a")})), "names a class twice"),
        (
            lambda: made(type("T", (Classification,), {"label": "genre", "classes": ("jazz", "pop")})),
            "no sample of 'genre' 'pop'",
        ),
        (lambda: made(type("T", (Landmarks,), {"label": "eyes", "eyes": (0, 3)})), "has 3 points"),
        (lambda: made(Genre, loss="cros_entropy"), "has no loss 'cros_entropy': did you mean 'cross_entropy'"),
        (lambda: made(Genre, metrics=["acuracy"]), "has no metric 'acuracy': did you mean 'accuracy'"),
        (lambda: made(Reconstruction, input="mle"), "reads the input 'mle', which the recipe lacks"),
        (lambda: Reconstruction("r", FIELDS, {"a": (3, 4), "b": (3, 4)}), "several inputs to give back"),
        (lambda: Eyes("e", {"eyes": Field("points")}, INPUTS), "points"),
    ],
)
def test_what_a_data_set_cannot_teach_is_one_sentence(make: Callable[[], Task], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()


def test_reconstruction_finds_its_input_feature_and_decoder() -> None:
    frames = made(Reconstruction)
    assert (frames.input, frames.feature, frames.default_weight) == ("mel", "sequence", 0.1)
    assert frames.head((6, 9))(torch.randn(2, 6, 9)).shape == (2, 6, 4)
    picture = Reconstruction("r", FIELDS, {"image": (3, 17, 20)})
    assert picture.feature == "map"
    for feature in ((8, 3, 3), (8, 32, 32), (8,)):
        assert picture.head(feature)(torch.randn(2, *feature)).shape == (2, 3, 17, 20)
    assert Reconstruction("r", FIELDS, {"image": (3, 8, 8)}, feature="pooled").feature == "pooled"
    vector = Reconstruction("r", FIELDS, {"v": (5,)}, feature="pooled")
    for task, feature in ((frames, (3, 9)), (picture, (3, 9)), (vector, (5,))):
        assert isinstance(task, Reconstruction)
        with pytest.raises(UserError, match=r"the head 'decoder' of the task .* as many frames as the input"):
            task.head(feature)


def test_frames_are_given_back_from_a_vector_a_map_or_frames() -> None:
    task = Reconstruction("r", {}, {"mel": (20, 12)}, feature="pooled")
    for feature in ((7,), (7, 3, 2), (20, 7), (7, 40, 30)):
        assert task.head(feature)(torch.randn(2, *feature)).shape == (2, 20, 12)


@pytest.mark.parametrize(("shape", "value_range"), [((16, 12), 2.0), ((3, 16, 16), 4.0)])
def test_reconstruction_by_similarity(shape: tuple[int, ...], value_range: float) -> None:
    task = Reconstruction("r", {}, {"x": shape}, loss="ssim", metrics=["ssim"])
    output, target = torch.randn(2, 4, *shape, generator=torch.Generator().manual_seed(0))
    expected = ssim(output, target, value_range)
    torch.testing.assert_close(task.loss(output, target), 1.0 - expected)
    torch.testing.assert_close(task.metrics()["ssim"].statistics(output, target)[:, 0].float(), expected)
    other = Reconstruction("r", {}, {"x": shape}, loss="ssim", value_range=1.0)
    torch.testing.assert_close(other.loss(output, target), 1.0 - ssim(output, target, 1.0))
    with pytest.raises(UserError, match="give a number above 0"):
        Reconstruction("r", {}, {"x": shape}, value_range=-1.0)


def test_another_data_set_is_read_by_the_names_of_the_training_classes() -> None:
    task = made(Genre)
    task.read_from({"genre": Field("class", classes=("rock", "pop", "jazz"))})
    assert [int(task.target(label, {})) for label in (0, 2)] == [2, 0]
    with pytest.raises(BadLabel):
        task.target(1, {})
    with pytest.raises(UserError, match="lacks"):
        task.read_from({})
