"""Values against annotations, and as a recipe writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descant.errors import UserError
from descant.recipe import parse_override
from descant.registry import Registry
from descant.values import check_value, written


@pytest.mark.parametrize(
    ("annotation", "right", "wrong", "said"),
    [
        (int, [0, -3], [True, 1.5, "1", None, [1]], "a whole number"),
        (float, [1, 1.5], [True, "1", None], "a number"),
        (bool, [True], [1, "true", None], "true or false"),
        (str, ["", "a"], [1, None, ["a"]], "text"),
        (float | None, [1, None], ["a", False], "a number or null"),
        (Optional[int], [1, None], ["a"], "a whole number or null"),  # noqa: UP045 as older plugins write it
        (Literal["htk", "slaney"], ["htk"], ["mel", None, 1], "'htk' or 'slaney'"),
        (Sequence[int], [[], [1, 2], (1,)], ["ab", 1, ["a"], [1, None], {"a": 1}], "a list of whole numbers"),
        (int | Sequence[int], [1, [1]], ["a", [1.5]], "a whole number or a list of whole numbers"),
        (tuple[int, int], [[1, 2]], [[1], [1, 2, 3], 1], "a list of 2 whole numbers"),
        (tuple[str, ...], [[], ["a"]], [[1], "a"], "a list of texts"),
        (list[list[int]], [[[1]]], [[1]], "a list of values"),
        (Mapping[str, float], [{}, {"a": 1}], [{"a": "b"}, [1], None], "a mapping"),
        (Any, [1, None, "a"], [], ""),
        (Registry, [1], [], ""),
    ],
)
def test_values_are_checked_against_annotations(annotation: Any, right: list[Any], wrong: list[Any], said: str) -> None:
    for value in right:
        check_value("x", annotation, value)
    for value in wrong:
        with pytest.raises(UserError) as caught:
            check_value("x", annotation, value)
        assert str(caught.value) == f"x is {value!r}: give {said}"


class Layers:
    def __init__(self, hidden: Sequence[int] = (), *, rate: float = 0.0, other: Unknown = None) -> None:  # type: ignore[name-defined]
        self.hidden = hidden


class Typed:
    def __init__(self, hidden: Sequence[int] = (), *, rate: float = 0.0) -> None:
        self.hidden = hidden


class Heir(Typed):
    def __init__(self, *args: Any, scale: Literal["log", "linear"] = "log", **given: Any) -> None:
        super().__init__(*args, **given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hidden": ["a"]}, r"the option 'hidden' of the layer 'heir' is \['a'\]: give a list of whole numbers"),
        ({"rate": "high"}, "the option 'rate' of the layer 'heir' is 'high': give a number"),
        ({"scale": "mel"}, "the option 'scale' of the layer 'heir' is 'mel': give 'log' or 'linear'"),
    ],
)
def test_options_of_a_component_are_checked_through_its_bases(options: dict[str, Any], said: str) -> None:
    registry: Registry[Any] = Registry("layer", "layers_of_a_test")
    registry.register("heir")(Heir)
    registry.register("layers")(Layers)
    with pytest.raises(UserError, match=said):
        registry.build("heir", options)
    assert registry.build("heir", {"hidden": [1], "rate": 1, "scale": "linear"}).hidden == [1]
    assert registry.build("layers", {"hidden": "any"}).hidden == "any", "what cannot be evaluated is not checked"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e3, 1e3) | st.from_regex(r"[a-z_./]{1,8}", fullmatch=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), inner),
    max_leaves=6,
)


@given(values)
def test_what_is_written_is_read_again_by_an_override(value: Any) -> None:
    assert parse_override(f"trunk.x={written(value)}") == ("trunk.x", value)
