"""Attributes from one label or several, and refused where one answer alone occurs."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from descant import BinaryAttributes
from descant.data.description import Field
from descant.errors import UserError
from descant.tasks import BadLabel
from descant_tasks.attributes import Attributes

LIST = {"image": Field("image", "jpg"), "attributes": Field("number", shape=(3,))}
SEVERAL = {
    "image": Field("image", "jpg"),
    "smile": Field("class", classes=("no", "yes"), counts=(5, 3)),
    "pose": Field("class", classes=("left", "ahead", "right")),
    "glasses": Field("class", classes=("-1", "1")),
    "age": Field("number"),
}


def made(fields: dict[str, Field], **options: Any) -> Attributes:
    return Attributes("attributes", fields, {}, **options)


def test_one_label_holds_all() -> None:
    task = made(LIST)
    assert (task.label, task.attribute_names) == ("attributes", ("0", "1", "2"))
    named = made(LIST, attributes=["young", "tall", "loud"])
    assert named.attribute_names == ("young", "tall", "loud")
    label = named.read({"attributes": [1, None, False], "smile": 1})
    np.testing.assert_array_equal(named.target(label, {}), np.float32([1, np.nan, 0]))
    assert named.read({"smile": 1}) is None
    assert list(named.answer(np.array([0.1, 0.2, 0.3]), None)) == ["young", "tall", "loud"]


def test_an_attribute_of_a_list_that_is_always_the_same_is_refused_and_no_more_is_read_than_needed() -> None:
    rows: list[dict[str, Any]] = [{"attributes": [n % 2, 1, n // 2]} for n in range(2)] + [{}, {"attributes": "odd"}]
    with pytest.raises(UserError, match=r"the attribute 'tall' of the task 'attributes' is the same, or unknown"):
        made(LIST, attributes=["young", "tall", "loud"]).check_labels([*rows, {"attributes": [1, None, 1]}])
    rest = iter([*rows, {"attributes": [0, 0, 1]}, {"attributes": [0, 0, 0]}])
    made(LIST).check_labels(rest)
    assert [*rest] == [{"attributes": [0, 0, 0]}]


def test_each_label_of_two_classes_is_one() -> None:
    task = made(SEVERAL)
    assert task.attribute_names == ("smile", "glasses")
    assert task.output_shape == (2,)
    label = task.read(json.loads('{"smile": "yes", "glasses": 0, "pose": 2}'))
    np.testing.assert_array_equal(task.target(label, {}), np.float32([1, 0]))
    np.testing.assert_array_equal(task.target(task.read({"glasses": 1}), {}), np.float32([np.nan, 1]))
    assert task.read({"pose": 2, "smile": None}) is None, "a sample without any of them teaches nothing"
    one = made(SEVERAL, attributes=["smile"])
    assert one.attribute_names == ("smile",)
    assert one.target(one.read({"smile": 1}), {}).tolist() == [1.0]


def test_another_data_set_may_have_its_classes_in_another_order() -> None:
    task = made(SEVERAL)
    task.read_from({**SEVERAL, "smile": Field("class", classes=("yes", "no"))})
    assert [task.target([value, None], {})[0] for value in (0, 1, "yes", "no")] == [1.0, 0.0, 1.0, 0.0]
    task.read_from({**SEVERAL, "smile": Field("class", classes=("0", "1"))})
    assert [task.target([value, None], {})[0] for value in (0, 1)] == [0.0, 1.0]
    with pytest.raises(UserError, match="reads 'glasses' as an attribute, but the data set has no such label"):
        task.read_from({"smile": SEVERAL["smile"]})


@pytest.mark.parametrize("label", [[1], [1, 0, 1], [2, 0], ["perhaps", 0], [0.5, 1], [[1], 0], [{}, 1], "yes", 1])
def test_labels_out_of_range_are_refused(label: Any) -> None:
    with pytest.raises(BadLabel, match="smile is .*allowed are"):
        made(SEVERAL).target(label, {})


@pytest.mark.parametrize(
    ("fields", "options", "said"),
    [
        (
            {**SEVERAL, "smile": Field("class", classes=("no", "yes"), counts=(8, 0))}, {},
            "the label 'smile' is 'no' in all of the training split, so the task 'attributes' cannot learn it",
        ),
        (LIST, {"attributes": ["a", "b"]}, "has 2 attributes, but the label 'attributes' .* 3 values: give 'attr"),
        (SEVERAL, {"attributes": ["pose"]}, "reads 'pose' as an attribute, but .* no such label of two classes"),
        (SEVERAL, {"attributes": ["smile", "glases"]}, "reads 'glases' as an .*did you mean 'glasses'"),
        ({"pose": SEVERAL["pose"]}, {}, "finds no attributes: the data set has neither .*its labels are pose"),
        ({**SEVERAL, "shut": Field("class", classes=("no",))}, {"attributes": ["shut"]}, "no such label of two"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_one_sentence(fields: dict[str, Field], options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        made(fields, **options)


def test_the_loss_is_the_mean_over_the_attributes_that_are_known() -> None:
    task = made(LIST)
    output = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([[1.0, 0.0, 1.0], [0.0, torch.nan, 1.0], [1.0, 1.0, 0.0], [torch.nan] * 3])
    losses_BA, known_BA = task.part_losses(output, target)
    assert task.parts == task.attribute_names and torch.equal(known_BA, ~target.isnan())
    torch.testing.assert_close(task.loss(output, target), losses_BA.sum(1) / torch.tensor([3, 2, 3, 1]))
    probability = output.sigmoid()
    assert float(losses_BA[1, 0]) == pytest.approx(-math.log(1 - float(probability[1, 0])), rel=1e-5)
    assert float(losses_BA[0, 2]) == pytest.approx(-math.log(float(probability[0, 2])), rel=1e-5)
    assert (losses_BA[~known_BA] == 0).all()


def test_one_head_for_forty_attributes_gives_what_forty_would() -> None:
    class Forty(BinaryAttributes):
        label = "attributes"

    task = Forty("forty", {"attributes": Field("number", shape=(40,))}, {})
    head = task.head((16,))
    (weight, bias) = head.parameters()
    x = torch.randn(8, 16)
    for place in range(40):
        alone = torch.nn.functional.linear(x, weight[place : place + 1], bias[place : place + 1])
        torch.testing.assert_close(head(x)[:, place : place + 1], alone)
