"""With which values a member of a population goes on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descant.errors import UserError
from descant.tune.explore import Step, check_in_flight, explored, promising
from descant.tune.schedulers import Pb2, Pbt
from descant.tune.space import Space

SPACE = Space.parse(
    {
        "tasks.a.weight": {"loguniform": [0.1, 10]},
        "tasks.b.gradient": {"uniform": [-1, 1]},
        "optimizer.lr": {"grid": [1e-4, 1e-3, 1e-2]},
    }
)
NUMBERS = Space.parse({"tasks.a.weight": {"loguniform": [0.1, 10]}, "tasks.b.weight": {"uniform": [0, 1]}})


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0.01, 0.9))
def test_pbt_stays_in_the_space(seed: int, resample: float, factor: float) -> None:
    rng = np.random.default_rng(seed)
    donor = SPACE.sample(rng)
    assert SPACE.holds(explored(Pbt(resample=resample, factor=factor), SPACE, donor, [], [], rng))


def test_pbt_moves_by_its_factor_or_to_a_neighbour() -> None:
    donor = {"tasks.a.weight": 1.0, "tasks.b.gradient": 0.0, "optimizer.lr": 1e-3}
    rng = np.random.default_rng(0)
    found = [explored(Pbt(resample=0.0, factor=0.2), SPACE, donor, [], [], rng) for _ in range(40)]
    assert {each["tasks.a.weight"] for each in found} == {0.8, 1.2}
    assert {each["tasks.b.gradient"] for each in found} == {-0.2, 0.2}
    assert {each["optimizer.lr"] for each in found} == {1e-4, 1e-2}


def steps(best: float, count: int = 24) -> list[Step]:
    """Members whose score rises the faster, the nearer their first weight is to ``best``, on the unit scale."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        params = NUMBERS.sample(rng)
        unit = NUMBERS.dimensions[0].unit(params["tasks.a.weight"])
        rise = 1 - 4 * (unit - best) ** 2 + 0.02 * rng.normal()
        made.append(Step(params, number // 6 + 1.0, 0.3, 0.3 + rise, 1.0))
    return made


@pytest.mark.parametrize("best", [0.2, 0.75])
def test_pb2_goes_where_scores_rose_most(best: float) -> None:
    found = promising(NUMBERS, steps(best), [], 0.0, np.random.default_rng(1))
    assert NUMBERS.holds(found)
    assert NUMBERS.dimensions[0].unit(found["tasks.a.weight"]) == pytest.approx(best, abs=0.15)


def test_pb2_does_not_try_what_another_member_tries() -> None:
    rng = np.random.default_rng(1)
    pending = [promising(NUMBERS, steps(0.5), [], 3.0, rng) for _ in range(1)]
    for _ in range(3):
        pending.append(promising(NUMBERS, steps(0.5), pending, 3.0, np.random.default_rng(1)))
    places = [tuple(each.unit(params[each.key]) for each in NUMBERS.dimensions) for params in pending]
    apart = [np.hypot(*np.subtract(one, other)) for at, one in enumerate(places) for other in places[:at]]
    assert min(apart) > 0.05


def test_pb2_draws_at_random_before_it_knows_anything() -> None:
    assert NUMBERS.holds(explored(Pb2(), NUMBERS, {}, [], [], np.random.default_rng(0)))


@pytest.mark.parametrize("key", ["sharing", "trainer.batch_size", "optimizer.name", "tasks.a.hidden", "trunk.hidden"])
def test_keys_that_cannot_change_in_mid_run_are_refused(key: str) -> None:
    with pytest.raises(UserError, match="cannot change in the middle of a run"):
        check_in_flight("pbt", Pbt(), Space.parse({key: {"choice": ["a", "b"]}}))


def test_pb2_takes_no_choices() -> None:
    check_in_flight("pbt", Pbt(), SPACE)
    check_in_flight("pb2", Pb2(), NUMBERS)
    with pytest.raises(UserError, match="is a choice"):
        check_in_flight("pb2", Pb2(), SPACE)
