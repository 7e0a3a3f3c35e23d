"""The order of samples: everything is seen once, the same on any number of ranks, and nothing but arguments decides."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.data.order import EvaluationOrder, TrainingOrder, permutation, sample_rng, step_seed

SAMPLES, BATCH, RANKS, EPOCH = st.integers(1, 90), st.integers(1, 40), st.integers(1, 9), st.integers(0, 50)


def orders(samples: int, batch: int, ranks: int, seed: int = 3) -> list[TrainingOrder]:
    return [TrainingOrder.of_one(seed, "data", samples, batch, rank, ranks) for rank in range(ranks)]


@settings(max_examples=150, deadline=None)
@given(SAMPLES, BATCH, RANKS, EPOCH)
def test_an_epoch_shows_every_sample_once_in_the_same_global_order(
    samples: int, batch: int, ranks: int, epoch: int
) -> None:
    dealt = orders(samples, batch, ranks)
    (alone,) = orders(samples, batch, 1)
    seen: list[int] = []
    for number in range(alone.batches):
        slices = [order.slice(epoch, number) for order in dealt]
        assert len({len(rows.samples) for rows in slices}) == 1, "equal rows on all ranks"
        assert len(slices[0].samples) >= 1
        assert all(len(rows.samples) == len(rows.positions) == len(rows.valid) for rows in slices)
        joined = np.concatenate([rows.samples[rows.valid] for rows in slices])
        whole = alone.slice(epoch, number)
        assert whole.valid.all()
        np.testing.assert_array_equal(joined, whole.samples)
        positions = np.concatenate([rows.positions[rows.valid] for rows in slices])
        np.testing.assert_array_equal(positions, whole.positions)
        fillers = np.concatenate([rows.samples[~rows.valid] for rows in slices])
        assert set(fillers) <= set(whole.samples)
        assert len(fillers) < ranks
        seen += joined.tolist()
    assert sorted(seen) == list(range(samples))
    assert {order.batches for order in dealt} == {alone.batches}
    np.testing.assert_array_equal(seen, permutation(3, epoch, "data", samples))


@given(SAMPLES, BATCH, st.integers(0, 5), st.data())
def test_a_walk_goes_on_where_another_ended(samples: int, batch: int, epoch: int, data: st.DataObject) -> None:
    (order,) = orders(samples, batch, 1)
    steps = data.draw(st.integers(0, 3 * order.batches))
    done = data.draw(st.integers(0, steps))
    whole = list(order.walk(epoch, 0, steps + 1))
    assert whole[: order.batches] == [(epoch, number) for number in range(order.batches)][: steps + 1]
    assert list(order.walk(*whole[done], steps + 1 - done)) == whole[done:]


@given(SAMPLES, BATCH, RANKS)
def test_an_evaluation_deals_each_batch_to_one_rank(samples: int, batch: int, ranks: int) -> None:
    dealt = [EvaluationOrder(samples, batch, rank, ranks) for rank in range(ranks)]
    places = [place for order in dealt for place in order.walk()]
    assert sorted(places) == [(0, number) for number in range(dealt[0].batches)]
    rows = [dealt[0].slice(*place).samples for place in sorted(places)]
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(samples))
    assert all(dealt[0].slice(*place).valid.all() for place in places)
    assert max(len(list(order.walk())) for order in dealt) - min(len(list(order.walk())) for order in dealt) <= 1


def test_epochs_seeds_and_data_sets_have_orders_of_their_own() -> None:
    kinds = {tuple(permutation(seed, epoch, data, 60)) for seed in (0, 1) for epoch in (0, 1) for data in "ab"}
    assert len(kinds) == 8
    first = np.asarray([permutation(0, epoch, "x", 10)[0] for epoch in range(2000)])
    assert np.abs(np.bincount(first, minlength=10) - 200).max() < 70, "five standard deviations"


def test_an_order_is_the_same_in_every_process_and_version() -> None:
    program = (
        "from descant.data.order import *; "
        "print(permutation(7, 2, 'f', 9).tolist(), sample_rng(7, 2, 5).random(), step_seed(7, 2, 1))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    here = f"{permutation(7, 2, 'f', 9).tolist()} {sample_rng(7, 2, 5).random()} {step_seed(7, 2, 1)}"
    assert printed.strip() == here
    assert here == GOLDEN


@given(st.integers(0, 2**40), st.integers(0, 1000), st.integers(0, 10**6))
def test_randomness_is_a_function_of_seed_epoch_and_position(seed: int, epoch: int, position: int) -> None:
    draws = {tuple(sample_rng(seed, epoch + e, position + p).random(8)) for e in (0, 1) for p in (0, 1, 2)}
    assert len(draws) == 6
    assert tuple(sample_rng(seed, epoch, position).random(8)) in draws
    assert len({step_seed(seed, epoch + step, rank) for step in (0, 1) for rank in (0, 1)}) == 4


GOLDEN = "[7, 6, 3, 0, 2, 1, 8, 5, 4] 0.8563856844682307 6133733095968940176"
