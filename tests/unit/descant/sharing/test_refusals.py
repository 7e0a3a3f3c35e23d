"""What a sharing scheme cannot do is one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from descant.errors import UserError
from descant.trunks import build_trunk
from sharing_case import Unstaged, shared


def of_widths(*widths: int) -> Callable[[], Unstaged]:
    given = iter(widths)
    return lambda: Unstaged(next(given))


@pytest.mark.parametrize(
    ("scheme", "options", "given", "said"),
    [
        ("soft", {"strength": -1}, {}, "sharing.strength is -1: give numbers from 0"),
        ("soft", {"strength": {"schedule": "linear", "start": 1, "end": -1}}, {}, "give numbers from 0"),
        ("soft", {"strength": {"schedule": "lin"}}, {}, "there is no schedule 'lin': did you mean 'linear'"),
        ("soft", {"couple": "l3"}, {}, "the option 'couple' of the sharing 'soft' is 'l3': give 'l2_weights' or"),
        ("soft", {"layers": ["frist"]}, {}, "cannot compare the layer 'frist': did you mean 'first"),
        ("soft", {"layers": ["map"]}, {}, "cannot compare the layer 'map'"),
        ("soft", {"layers": ["first.1"]}, {}, "cannot compare the layer 'first.1' between 'main' and 'help'"),
        (
            "soft",
            {"layers": ["second"]},
            {"features": {"main": "pooled", "help": "first"}},
            "cannot compare the layer 'second' between 'main' and 'help': not all of them train it",
        ),
        ("soft", {}, {"make_trunk": of_widths(4, 4, 5)}, "differ in linear.bias, linear.weight: take a trunk that is"),
        ("soft", {}, {"features": {"main": "poled"}}, "'main' reads the feature 'poled', which the trunk lacks"),
        ("cross_stitch", {"own": 1.5}, {}, "sharing.own is 1.5: give the part of a task's own trunk, from 0 to 1"),
        ("cross_stitch", {"after": ["frist"]}, {}, "no stage 'frist' for a cross-stitch unit: did you mean 'first'"),
        ("cross_stitch", {"after": []}, {}, "sharing.after is empty"),
        ("cross_stitch", {}, {"make_trunk": of_widths(4, 4, 4)}, "cannot run the trunk Unstaged stage by stage"),
        ("cross_stitch", {}, {"make_trunk": of_widths(4, 4, 5)}, "differ in linear.bias, linear.weight"),
        (
            "cross_stitch",
            {},
            {"features": {"main": "first.0"}},
            r"'main' reads the feature 'first.0', which the sharing 'cross_stitch' cannot give: .*\(first, second, map",
        ),
        ("mmoe", {"experts": 0}, {}, "sharing.experts is 0: give a whole number from 1"),
        ("mmoe", {"hidden": []}, {}, r"sharing.hidden is \[\]: give at least one width"),
        (
            "mmoe",
            {},
            {"features": {"main": "pooled", "help": "map"}},
            r"'mmoe' puts its experts on one feature of one dimension for all tasks, but 'main' reads 'pooled' \(4,\), "
            r"'help' reads 'map' \(4, 2, 2\): have all read 'pooled'",
        ),
        ("cgc", {}, {"features": {"main": "map"}}, "the sharing 'cgc' puts its experts on one feature"),
        ("cgc", {"levels": 2}, {}, "the sharing 'cgc' has no option 'levels'"),
        ("ple", {"levels": 0}, {}, "sharing.levels is 0"),
        ("ple", {"own": 0}, {}, "sharing.own is 0"),
        ("ple", {"hidden": [0]}, {}, r"sharing.hidden is \[0\]"),
        ("mtan", {"width": 0}, {}, "sharing.width is 0"),
        ("mtan", {}, {"features": {"main": "first"}}, "'first', but the sharing 'mtan' gives 'pooled' and 'map'"),
        ("mtan", {"layers": ["third"]}, {}, "cannot mask the layer 'third'"),
        ("mtan", {"layers": ["first", "pooled"]}, {}, r"masks maps \(C, H, W\), but pooled \(4,\) gives none"),
        ("mtan", {}, {"make_trunk": of_widths(4)}, "but the trunk Unstaged gives none: name in 'layers' modules"),
        ("adapters", {"rank": 0}, {}, "sharing.rank is 0 and sharing.scale 1.0: give a rank from 1"),
        ("adapters", {"scale": 0}, {}, "a scale above 0"),
        ("adapters", {"layers": ["first.1"]}, {}, "finds no linear or convolutional layer in 'first.1': did you mean"),
    ],
)
def test_what_cannot_be_shared_is_one_sentence(scheme: str, options: Options, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        shared(scheme, options, **given)


def test_adapters_need_layers_to_adapt() -> None:
    inputs = {"mel": (6, 4)}
    with pytest.raises(
        UserError, match="'adapters' needs linear or convolutional layers, and the trunk BiLSTM has none"
    ):
        shared("adapters", make_trunk=lambda: build_trunk("bilstm", {"hidden": [3]}, inputs), inputs=inputs)
