"""Several data sets in one epoch: exact counts, an even spread, and streams that go on where they ended."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.data.mixture import Stream, interleaved, largest_remainder, shares
from descant.data.order import TrainingOrder, epoch_order
from descant.errors import UserError

SIZES = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 60)), min_size=1, max_size=4)


def streams(sizes: list[tuple[int, int]]) -> tuple[Stream, ...]:
    """Return streams of (samples, positions)."""
    firsts = np.cumsum([0, *(samples for samples, _ in sizes)])
    return tuple(Stream(f"data {n}", *size, int(firsts[n])) for n, size in enumerate(sizes))


@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(1, 12), st.integers(1, 4), st.booleans())
def test_each_stream_goes_through_its_samples_pass_by_pass(
    sizes: list[tuple[int, int]], batch: int, ranks: int, homogeneous: bool
) -> None:
    mixed = streams(sizes)
    orders = [TrainingOrder(5, mixed, batch, rank, ranks, homogeneous) for rank in range(ranks)]
    alone = TrainingOrder(5, mixed, batch, homogeneous=homogeneous)
    seen: list[int] = []
    epochs = 3
    for epoch in range(epochs):
        for number in range(alone.batches):
            dealt = [order.slice(epoch, number) for order in orders]
            joined = np.concatenate([rows.samples[rows.valid] for rows in dealt])
            np.testing.assert_array_equal(joined, alone.slice(epoch, number).samples)
            assert len({len(rows.samples) for rows in dealt}) == 1
            assert len(joined) == alone.size(number) <= batch
            seen += joined.tolist()
            owners = {next(n for n, s in enumerate(mixed) if s.first <= one < s.first + s.samples) for one in joined}
            assert not homogeneous or len(owners) == 1
    assert alone.samples == sum(positions for _, positions in sizes)
    for stream, passes in zip(mixed, alone.passes(epochs, 0), strict=True):
        own = [one for one in seen if stream.first <= one < stream.first + stream.samples]
        assert len(own) == epochs * stream.positions
        assert passes == pytest.approx(len(own) / stream.samples)
        whole = len(own) // stream.samples * stream.samples
        for start in range(0, whole, stream.samples):
            assert len(set(own[start : start + stream.samples])) == stream.samples, "every sample once a pass"
        assert len(set(own[whole:])) == len(own) - whole


@given(SIZES, st.integers(0, 200))
def test_passes_count_what_was_consumed(sizes: list[tuple[int, int]], consumed: int) -> None:
    mixed = streams(sizes)
    order = TrainingOrder(0, mixed, 4)
    consumed = min(consumed, order.samples)
    taken = epoch_order(0, 2, mixed, None)[:consumed]
    for stream, passes in zip(mixed, order.passes(2, consumed), strict=True):
        own = ((taken >= stream.first) & (taken < stream.first + stream.samples)).sum()
        assert passes * stream.samples == pytest.approx(2 * stream.positions + own)


@given(SIZES)
def test_a_stream_is_spread_evenly(sizes: list[tuple[int, int]]) -> None:
    mixed = streams(sizes)
    total = sum(positions for _, positions in sizes)
    places = interleaved(mixed, None)
    assert sorted(np.concatenate(places).tolist()) == list(range(total))
    for stream, places_P in zip(mixed, places, strict=True):
        counted = np.searchsorted(places_P, np.arange(total + 1))
        expected = np.arange(total + 1) * stream.positions / total
        assert np.abs(counted - expected).max() <= len(mixed), "at any moment near its share"


def test_once_each_is_a_plain_epoch_of_one_data_set() -> None:
    one = TrainingOrder.of_one(3, "f", 10, 4)
    (stream,) = streams([(10, 10)])
    again = TrainingOrder(3, (Stream("f", 10, 10, 0),), 4)
    assert stream.samples == 10
    assert one.fingerprint == again.fingerprint == "f"
    assert sorted(epoch_order(3, 1, one.streams, None).tolist()) == list(range(10))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any), st.integers(0, 1000))
def test_largest_remainder_against_its_definition(weights: list[int], total: int) -> None:
    counts = largest_remainder(np.asarray(weights) / sum(weights), total)
    assert sum(counts) == total
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    assert all(abs(count - share) < 1 + Fraction(1, 10**9) for count, share in zip(counts, exact, strict=True))


@pytest.mark.parametrize(
    ("weights", "temperature", "total", "expected"),
    [
        (None, None, 7, [100, 10, 1]),
        ([1, 1, 2], None, 100, [25, 25, 50]),
        ([0, 1, 0], None, 5, [0, 5, 0]),
        (None, 1.0, 111, [100, 10, 1]),
        (None, 2.0, 111, [78, 25, 8]),  # 10 : sqrt 10 : 1
        (None, 1e9, 9, [3, 3, 3]),
    ],
)
def test_shares(weights: list[float] | None, temperature: float | None, total: int, expected: list[int]) -> None:
    assert shares([100, 10, 1], weights, temperature, total) == expected


@pytest.mark.parametrize("weights", [[0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0]])
def test_weights_that_do_not_sum_to_anything_are_refused(weights: list[float]) -> None:
    with pytest.raises(UserError, match="give numbers from 0 of which one is above"):
        shares([5, 5], weights, None, 10)


def test_another_mixture_is_another_order() -> None:
    base = streams([(5, 5), (5, 10)])
    prints = Counter(
        TrainingOrder(0, one, 2, homogeneous=together).fingerprint
        for one in (base, streams([(5, 5), (5, 9)]), base[::-1])
        for together in (False, True)
    )
    assert len(prints) == 6
