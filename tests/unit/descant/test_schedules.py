"""Schedules give the values that their formulas say, and refuse what has no meaning."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descant.errors import UserError
from descant.schedules import parse_schedule, schedules

EPOCHS = st.integers(2, 400)


@given(st.floats(-1e6, 1e6), st.integers(0, 300), EPOCHS)
def test_a_number_stays(value: float, epoch: int, epochs: int) -> None:
    assert parse_schedule("weight", value).at(epoch, epochs) == value


@given(st.floats(0, 10), st.floats(0, 10), EPOCHS)
def test_linear_and_cosine_go_from_start_to_end_without_turning(start: float, end: float, epochs: int) -> None:
    for name in ("linear", "cosine"):
        schedule = parse_schedule("weight", {"schedule": name, "start": start, "end": end})
        values = [schedule.at(epoch, epochs) for epoch in range(epochs)]
        assert values[0] == pytest.approx(start)
        assert values[-1] == pytest.approx(end)
        towards_end = [(after - before) * (end - start) for before, after in zip(values, values[1:], strict=False)]
        assert min(towards_end) >= -1e-9
        assert schedule.at(0, 1) == pytest.approx(start), "a run of one epoch"


def test_the_middle_of_linear_and_cosine() -> None:
    middle = {"start": 4.0, "end": 2.0}
    assert parse_schedule("w", {"schedule": "linear", **middle}).at(1, 5) == pytest.approx(3.5)
    assert parse_schedule("w", {"schedule": "cosine", **middle}).at(1, 5) == pytest.approx(3 + math.cos(math.pi / 4))


def test_step_decays_exponentially() -> None:
    schedule = parse_schedule("optimizer.lr", {"schedule": "step", "start": 1e-4, "every": 1, "factor": 0.97})
    assert [schedule.at(epoch, 256) for epoch in (0, 1, 255)] == pytest.approx([1e-4, 0.97e-4, 1e-4 * 0.97**255])
    halved = parse_schedule("optimizer.lr", {"schedule": "step", "start": 8, "every": 15})
    assert [halved.at(epoch, 100) for epoch in (14, 15, 45)] == [8, 4, 1]


@given(st.integers(1, 300))
def test_linear_floor_is_the_convergence_articles(epochs: int) -> None:
    schedule = parse_schedule("weight", {"schedule": "linear_floor"})
    for epoch in range(epochs):
        assert schedule.at(epoch, epochs) == pytest.approx(max(0.5 * (1 - epoch / epochs), 0.1))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("much", "weight is 'much'"),
        (True, "weight is True"),
        (math.nan, "finite"),
        ({"start": 1}, "without 'schedule'"),
        ({"schedule": "liner", "start": 1}, "did you mean 'linear'"),
        ({"schedule": "linear", "start": 1, "stop": 2}, "no option 'stop'"),
        ({"schedule": "linear"}, "needs the option 'start'"),
        ({"schedule": "linear", "start": "a"}, "weight.start is 'a'"),
        ({"schedule": "step", "start": 1, "every": 0}, "'every' is 0"),
        ({"schedule": "step", "start": [1, 2], "every": 1}, "'start'"),
        ({"schedule": "piecewise", "epochs": [0, 2], "values": [1]}, "a value for each"),
        ({"schedule": "piecewise", "epochs": [1, 2], "values": [1, 2]}, "rising epochs from 0"),
        ({"schedule": "piecewise", "epochs": [0, 2, 2], "values": [1, 2, 3]}, "rising epochs from 0"),
        ({"schedule": "piecewise", "epochs": [0, 1.5], "values": [1, 2]}, "whole number"),
        ({"schedule": "piecewise", "epochs": [], "values": []}, "rising epochs from 0"),
        ({"schedule": "piecewise", "epochs": 3, "values": [1]}, "'epochs'"),
    ],
)
def test_what_has_no_meaning_is_one_sentence(value: Any, said: str) -> None:
    with pytest.raises(UserError, match=said.replace(".", r"\.")):
        parse_schedule("weight", value)


@pytest.mark.parametrize("every", ["often", None, 2.5])
def test_an_interval_that_is_no_whole_number_is_one_sentence(every: Any) -> None:
    with pytest.raises(UserError, match="every"):
        parse_schedule("weight", {"schedule": "step", "start": 1, "every": every})


def test_pieces_hold_from_their_epoch_to_the_next() -> None:
    schedule = parse_schedule("weight", {"schedule": "piecewise", "epochs": [0, 2, 5], "values": [1.0, 0.5, 3]})
    assert [schedule.at(epoch, 7) for epoch in range(7)] == [1.0, 1.0, 0.5, 0.5, 0.5, 3.0, 3.0]


def test_all_are_known_by_name() -> None:
    assert schedules.names() == ["constant", "cosine", "linear", "linear_floor", "piecewise", "step"]
