"""A recipe chooses a task's head by name, with options; what does not fit is one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from descant import BinaryAttributes, Classification, Landmarks, Reconstruction, Regression, Task
from descant.data.description import Field
from descant.errors import UserError
from descant.heads import Head, HeatmapHead, InceptionHead, LinearHead, MLPHead, SequenceHead, register_head
from descant.registry import Registry
from descant.tasks.headed import HeadedTask

FIELDS = {
    "genre": Field("class", classes=("jazz", "folk", "rock")),
    "age": Field("number"),
    "beat": Field("number", shape=(7,)),
    "chroma": Field("number", shape=(7, 2)),
    "traits": Field("number", shape=(3,)),
    "eyes": Field("points", shape=(3, 2)),
}
INPUTS = {"mel": (7, 4)}
FEATURES: dict[str, tuple[int, ...]] = {"pooled": (5,), "sequence": (7, 5), "map": (5, 6, 6)}


def made(kind: type[Task], label: str | None, **options: Any) -> HeadedTask:
    registry: Registry[Task] = Registry("task", "no_such_group")
    registry.register("mine")(type(kind.__name__, (kind,), {"label": label} if label else {}))
    task = registry.build("mine", options, name="mine", fields=FIELDS, inputs=INPUTS)
    assert isinstance(task, HeadedTask)
    return task


KINDS: list[tuple[type[Task], str]] = [
    (Classification, "genre"), (Regression, "age"), (BinaryAttributes, "traits"), (Landmarks, "eyes"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "label"), KINDS)
@pytest.mark.parametrize("name", ["linear", "mlp", "inception", "sequence"])
def test_each_kind_takes_each_head_at_the_feature_that_it_reads(kind: type[Task], label: str, name: str) -> None:
    task = made(kind, label, head=name)
    head = task.head(FEATURES[task.feature])
    output = head(torch.randn(2, *FEATURES[task.feature]))
    target = torch.from_numpy(np.stack([task.blank()] * 2))
    assert output.shape == (2, *task.output_shape)
    assert task.loss(output, target).shape == (2,)
    for metric in task.metrics().values():
        assert len(metric.statistics(task.predict(output.detach()), target)) == 2


def test_the_head_is_linear_or_what_hidden_layers_make_it() -> None:
    linear, deep = made(Classification, "genre").head((5,)), made(Classification, "genre", hidden=[6, 4]).head((5,))
    assert type(linear) is LinearHead and type(deep) is MLPHead
    assert [layer.out_features for layer in deep if isinstance(layer, torch.nn.Linear)] == [6, 4, 3]
    dropped = made(Classification, "genre", dropout=0.25).head((5,))
    assert [layer.p for layer in dropped.modules() if isinstance(layer, torch.nn.Dropout)] == [0.25]
    given = made(Classification, "genre", head={"name": "mlp", "hidden": [6]}, dropout=0.25).head((5,))
    assert [layer.p for layer in given.modules() if isinstance(layer, torch.nn.Dropout)] == [0.25]


def test_a_head_brings_the_feature_that_it_reads_unless_one_is_named() -> None:
    assert made(Classification, "genre", head="inception").feature == "map"
    assert made(Classification, "genre", head="inception", feature="layer2").feature == "layer2"
    assert made(Landmarks, "eyes", head="heatmap").feature == "map"
    assert made(Classification, "genre", head="mlp").feature == "pooled"

    class Inner(Classification):
        feature = "layer3"
        default_head = "inception"

    assert made(Inner, "genre").feature == "layer3"
    assert type(made(Inner, "genre").head((5, 6, 6))) is InceptionHead


def test_points_are_found_on_heatmaps() -> None:
    task = made(Landmarks, "eyes", head={"name": "heatmap", "hidden": [4]})
    head = task.head((5, 6, 6))
    assert type(head) is HeatmapHead
    output = head(torch.randn(2, 5, 6, 6))
    assert output.shape == (2, 3, 2)
    assert torch.equal(task.predict(output), output)
    expected = 0.5 * (output - 0.1).square().sum((1, 2))
    torch.testing.assert_close(task.loss(output, torch.full((2, 3, 2), 0.1)), expected)


@pytest.mark.parametrize(("label", "target"), [("beat", (7,)), ("chroma", (14,))])
def test_numbers_may_stand_for_frames(label: str, target: tuple[int, ...]) -> None:
    task = made(Regression, label, head={"name": "sequence", "average": False})
    head = task.head((7, 5))
    assert type(head) is SequenceHead
    output = head(torch.randn(2, 7, 5))
    assert task.loss(output, torch.zeros(2, *target)).shape == (2,)
    assert task.predict(output).shape == (2, *target)
    np.testing.assert_array_equal(task.target(np.arange(target[0]).tolist(), {}), np.arange(target[0]))


def test_a_reconstruction_may_have_another_head() -> None:
    task = made(Reconstruction, None, head={"name": "sequence", "average": False}, feature="sequence")
    assert task.head((7, 5))(torch.randn(2, 7, 5)).shape == (2, 7, 4)


def test_a_users_head_is_found_by_its_name() -> None:
    @register_head("test_headed_scaled")
    class Scaled(Head):
        def __init__(self, feature: tuple[int, ...], shape: tuple[int, ...], scale: float = 1.0) -> None:
            super().__init__()
            self.scale, self.layer = scale, torch.nn.Linear(feature[0], shape[0])

        def forward(self, feature_BF: torch.Tensor) -> torch.Tensor:
            scaled: torch.Tensor = self.scale * self.layer(feature_BF)
            return scaled

    head = made(Classification, "genre", head={"name": "test_headed_scaled", "scale": 2.0}).head((5,))
    assert isinstance(head, Scaled) and head.scale == 2.0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: made(Landmarks, "eyes", head="heatmap", feature="pooled").head((5,)),
            r"^the head 'heatmap' of the task 'mine' cannot make an output of shape \(3, 2\) from the feature 'pooled' "
            r"of shape \(5,\): it needs a map \(C, H, W\) of at least 2 × 2 places, and points",
        ),
        (lambda: made(Landmarks, "eyes", head="heatmap").head((5, 1, 1)), "at least 2 × 2"),
        (lambda: made(Classification, "genre", head="heatmap").head((5, 6, 6)), "and points"),
        (lambda: made(Classification, "genre", head="inception").head((7, 5)), "it needs a map"),
        (lambda: made(Classification, "genre", head="sequence").head((5, 6, 6)), "it needs a sequence"),
        (lambda: made(Classification, "genre").head((2, 5, 6, 6)), r"it needs a feature of shape \(F,\), \(T, F\) or"),
        (lambda: made(Classification, "genre", head="inceptoin"), "no head 'inceptoin': did you mean 'inception'"),
        (lambda: made(Classification, "genre", head={"hidden": [2]}), "give a name, or a mapping with 'name'"),
        (
            lambda: made(Classification, "genre", head=3),
            r"the option 'head' of the task 'mine' is 3: give text or a map",
        ),
        (
            lambda: made(Classification, "genre", head={"name": "mlp", "hiden": [2]}).head((5,)),
            "the head 'mlp' has no option 'hiden': did you mean 'hidden'",
        ),
        (lambda: made(Classification, "genre", head="linear", hidden=[2]).head((5,)), "no option 'hidden'"),
        (lambda: made(Classification, "genre", hidden=["a"]), "give a list of whole numbers or null"),
        (lambda: made(Classification, "genre", dropout=1.0).head((5,)), "give a share from 0 up to 1"),
    ],
)
def test_what_does_not_fit_is_one_sentence(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()


def test_a_class_that_makes_its_own_head_is_fused_with_nothing() -> None:
    class Own(Classification):
        def head(self, feature: tuple[int, ...]) -> torch.nn.Module:
            return torch.nn.Sequential(torch.nn.Linear(feature[-1], 3))

    assert made(Classification, "genre").fusion_key() is not None
    assert made(Own, "genre").fusion_key() is None
