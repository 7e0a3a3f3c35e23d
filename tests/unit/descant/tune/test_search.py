"""What proposes trials: reproducible, complete, and better with what it has learnt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from descant.errors import UserError
from descant.tune.objective import Objective
from descant.tune.search import searches
from descant.tune.space import Space

SPACE = Space.parse({"w": {"loguniform": [0.01, 100]}, "c": {"choice": ["a", {"name": "b"}]}, "n": {"integer": [1, 4]}})
GOOD = (Objective("main", "accuracy", "max"),)
BOTH = (*GOOD, Objective("other", "loss", "min"))


def make(name: str, space: Space = SPACE, objectives: tuple[Objective, ...] = GOOD, seed: int = 0) -> Any:
    return searches.build(name, {}, space=space, objectives=objectives, seed=seed)


def goodness(params: dict[str, Any]) -> float:
    return -(math.log10(params["w"] / 3) ** 2) + 0.1 * (params["c"] == "a")


@pytest.mark.parametrize("name", ["random", "tpe", "multi"])
def test_proposals_are_of_the_space_and_the_seeds(name: str) -> None:
    objectives = BOTH if name == "multi" else GOOD
    one, again, other = (make(name, objectives=objectives, seed=seed) for seed in (0, 0, 1))
    drawn = [one.propose(number) for number in range(12)]
    assert all(SPACE.holds(params) for params in drawn)
    assert drawn == [again.propose(number) for number in range(12)]
    assert drawn != [other.propose(number) for number in range(12)]


def test_a_random_trial_hangs_on_its_number_alone() -> None:
    assert make("random").propose(7) == make("random").propose(7)


def test_a_grid_has_each_point_once_and_refuses_what_it_cannot_count() -> None:
    space = Space.parse({"a": {"grid": [1, 2, 3]}, "b": {"choice": ["x", "y"]}, "n": {"integer": [0, 1]}})
    search = make("grid", space)
    points = [tuple(search.propose(number).values()) for number in range(search.limit())]
    assert len(points) == len(set(points)) == 12
    with pytest.raises(UserError, match="cannot count the values of w:"):
        make("grid")


@pytest.mark.parametrize("name", ["tpe", "multi"])
def test_a_search_learns(name: str) -> None:
    """Late proposals are far better than those at random: half of the space's logarithm is worse than -1."""
    objectives = BOTH if name == "multi" else GOOD
    search = make(name, objectives=objectives)
    values = []
    for number in range(40):
        params = search.propose(number)
        values.append(goodness(params))
        search.tell(number, params, [values[-1], -values[-1]] if name == "multi" else [values[-1]])
    assert sorted(values[-15:])[7] > max(-0.3, sorted(values[:10])[4])


def test_what_is_told_of_other_trials_counts_too() -> None:
    """Told of forty trials before its first question, a search begins where these were good."""
    told, fresh = make("tpe"), make("tpe")
    for number in range(40):
        params = fresh.space.sample(np.random.default_rng(number))
        told.tell(-1 - number, params, [goodness(params)])
    first = [goodness(told.propose(number)) for number in range(6)]
    assert sorted(first)[3] > -0.5


def test_a_failed_trial_teaches_nothing() -> None:
    search = make("tpe")
    params = search.propose(0)
    search.tell(0, params, None)
    search.tell(1, params, [math.nan])
    assert SPACE.holds(search.propose(2))
