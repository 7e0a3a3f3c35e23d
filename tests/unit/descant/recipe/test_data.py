"""The recipe's data: one place, a list, or a mixture; what says nothing is refused in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from descant.errors import UserError
from descant.recipe import DataSettings


@pytest.mark.parametrize(
    ("given", "names", "weights"),
    [
        ("data/fma", [""], None),
        ("s3://bucket/fma", [""], None),
        (["data/fma", "more/speech"], ["fma", "speech"], None),
        ({"sources": {"a": "data/a", "b": {"data": "data/b"}, "gone": None}}, ["a", "b"], None),
        ({"sources": {"a": {"data": "x", "weight": 2}, "b": {"data": "y", "weight": 0.5}}}, ["a", "b"], [2.0, 0.5]),
    ],
)
def test_what_is_given_comes_back(given: Any, names: list[str], weights: list[float] | None) -> None:
    settings = DataSettings.parse(given)
    assert list(settings.sources) == names
    assert settings.weights == weights
    assert DataSettings.parse(settings.plain) == settings, "a run's recipe says the same"
    moved = settings.map_places(lambda place: f"/there/{place}")
    assert [source.data for source in moved.sources.values()] == [
        f"/there/{source.data}" for source in settings.sources.values()
    ]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, "the recipe has no data: set data=FOLDER"),
        ([], "the recipe has no data"),
        (True, "the recipe has no data"),
        (
            ["a/fma", "b/fma"],
            "two data sets in folders named 'fma': name them, as in data={sources: {one: {data: a/fma}",
        ),
        ({"sources": {}}, "data.sources names no data set"),
        ({"sources": {"a": None}}, "data.sources names no data set"),
        ({"source": {"a": "x"}}, "there is no key data.source: did you mean 'sources'"),
        ({"sources": {"a/b": "x"}}, "a data set named 'a/b': give a plain name"),
        ({"sources": {"a": 3.5}}, "data.sources.a is 3.5: give a folder"),
        ({"sources": {"a": {"data": "x", "wieght": 1}}}, "no key data.sources.a.wieght: did you mean 'weight'"),
        ({"sources": {"a": {"data": "x", "weight": -1}}}, "data.sources.a.weight is -1: give a number from 0"),
        ({"sources": {"a": {"data": "x", "weight": 1}, "b": "y"}}, "data.sources.b has no weight, but 'a' has one"),
        ({"sources": {"a": {"data": "x", "weight": 0}}}, "weights of data.sources are all 0"),
        ({"sources": {"a": {"data": "x", "weight": 1}}, "temperature": 2}, "has weights and a temperature"),
        ({"sources": {"a": "x"}, "temperature": 0}, "data.temperature is 0: give a number above 0"),
        ({"sources": {"a": "x"}, "samples": 10}, "data.samples is the length of an epoch of weighted data sets"),
        ({"sources": {"a": "x"}, "temperature": 1, "samples": 0}, "data.samples is 0: give a whole number from 1"),
        ({"sources": {"a": "x"}, "homogeneous": "yes"}, "data.homogeneous is 'yes': give true or false"),
    ],
)
def test_what_says_nothing_is_one_sentence(given: Any, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        DataSettings.parse(given)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
