"""The order of samples: everything is seen once, the same on any number of ranks, and nothing but arguments decides."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.data.mixture import Stream
from descant.data.order import EvaluationOrder, TrainingOrder, epoch_order, permutation, sample_rng, step_seed
from descant.loop.progress import Progress

Part = tuple[dict[str, Any], list[tuple[int, int]]]
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


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]]]:
    """Epochs, and the parts of a run: how many steps it makes, then is stopped, with how many ranks and loaders."""
    part = st.tuples(st.integers(0, 25), RANKS, st.integers(0, 4))
    return draw(st.integers(1, 3)), draw(st.lists(part, max_size=5))


def loaded(order: TrainingOrder, progress: Progress, steps: int, workers: int) -> Iterator[tuple[int, int]]:
    """The places of a rank's next batches as torch's loader brings them: place i is made by process i mod n."""
    places = list(order.walk(progress.epoch, progress.batch, steps))
    made = [iter(places[worker::workers]) for worker in range(workers)] or [iter(places)]
    for number in range(steps):
        yield next(made[number % len(made)])


def run_part(state: dict[str, Any] | None, data: tuple[int, int], steps: int, ranks: int, workers: int) -> Part:
    """Train ``steps`` steps on every rank, each with loaders that are further ahead than it is when it is stopped."""
    dealt = orders(*data, ranks)
    starts = [Progress() if state is None else Progress.from_state_dict(state, order) for order in dealt]
    batches = [loaded(order, progress, steps + 3, workers) for order, progress in zip(dealt, starts, strict=True)]
    seen: list[tuple[int, int]] = []
    for _ in range(steps):
        places = {next(rank) for rank in batches}
        assert len(places) == 1, "all ranks are at the same global batch"
        ((epoch, batch),) = places
        rows = [order.slice(epoch, batch) for order in dealt]
        assert len({len(one.samples) for one in rows}) == 1
        seen += [(epoch, sample) for one in rows for sample in one.samples[one.valid].tolist()]
        sizes = {progress.advance(order) for order, progress in zip(dealt, starts, strict=True)}
        assert sizes == {dealt[0].size(batch)}
    (after,) = {json.dumps(progress.state_dict(order)) for order, progress in zip(dealt, starts, strict=True)}
    return json.loads(after), seen


@settings(max_examples=150, deadline=None)
@given(SAMPLES, BATCH, histories())
def test_a_run_that_is_stopped_and_goes_on_otherwise_sees_what_an_undisturbed_one_does(
    samples: int, batch: int, history: tuple[int, list[tuple[int, int, int]]]
) -> None:
    """Over any stops and changes of the number of ranks and loaders, which start anew from what a checkpoint keeps."""
    epochs, parts = history
    left = epochs * orders(samples, batch, 1)[0].batches
    state, seen = None, []
    for steps, ranks, workers in [*parts, (left, 1, 1)]:
        state, consumed = run_part(state, (samples, batch), min(steps, left), ranks, workers)
        left -= min(steps, left)
        seen += consumed
    assert left == 0 and state is not None
    assert (state["data"]["epoch"], state["data"]["consumed"], state["samples"]) == (epochs, 0, epochs * samples)
    for epoch in range(epochs):
        order = [sample for one, sample in seen if one == epoch]
        assert sorted(order) == list(range(samples))
        np.testing.assert_array_equal(order, permutation(3, epoch, "data", samples))
    assert [epoch for epoch, _ in seen] == sorted(epoch for epoch, _ in seen)


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


@pytest.mark.parametrize(
    ("streams", "batch_size", "epoch", "digest"),
    [
        ((Stream("a", 7, 7, 0),), None, 3, "ea54d5d2f03192c1"),
        ((Stream("a", 100, 263, 0),), None, 2, "581fd1b495124c6d"),
        ((Stream("a", 100, 31, 0),), None, 5, "bd63cbd317f4bc3e"),
        ((Stream("a", 1, 5, 0),), None, 1, "6549d1f725ba0fd6"),
        ((Stream("a", 10, 35, 0), Stream("b", 40, 20, 10), Stream("c", 5, 0, 50)), None, 4, "6f4fff470a19ce17"),
        ((Stream("a", 10, 35, 0), Stream("b", 40, 20, 10)), 8, 4, "cd226db9959ad1b4"),
        ((Stream("a", 60, 90, 0, (20,) * 3),), None, 1, "ccb442bbec12db23"),
        ((Stream("a", 60, 25, 0, (4,) * 15), Stream("b", 9, 30, 60)), None, 7, "2e8737210596f1c4"),
    ],
)
def test_the_order_of_streams_is_what_it_was(
    streams: tuple[Stream, ...], batch_size: int | None, epoch: int, digest: str
) -> None:
    """Runs of other versions go on: more and fewer positions than samples, one and several streams, remote shards."""
    order = epoch_order(11, epoch, streams, batch_size)
    assert len(order) == sum(stream.positions for stream in streams)
    assert hashlib.blake2b(order.astype("<i8").tobytes(), digest_size=8).hexdigest() == digest


@given(st.integers(0, 2**40), st.integers(0, 1000), st.integers(0, 10**6))
def test_randomness_is_a_function_of_seed_epoch_and_position(seed: int, epoch: int, position: int) -> None:
    draws = {tuple(sample_rng(seed, epoch + e, position + p).random(8)) for e in (0, 1) for p in (0, 1, 2)}
    assert len(draws) == 6
    assert tuple(sample_rng(seed, epoch, position).random(8)) in draws
    assert len({step_seed(seed, epoch + step, rank) for step in (0, 1) for rank in (0, 1)}) == 4


GOLDEN = "[7, 6, 3, 0, 2, 1, 8, 5, 4] 0.8563856844682307 6133733095968940176"
