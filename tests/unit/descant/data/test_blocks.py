"""The order of samples for remote shards."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from descant.data.blocks import block_order

SHARDS = st.lists(st.integers(0, 30), min_size=0, max_size=20)


@given(SHARDS, st.integers(1, 25), st.integers(0, 3), st.integers(0, 3))
def test_every_sample_comes_exactly_once(shards: list[int], window: int, seed: int, epoch: int) -> None:
    order = block_order(seed, epoch, "f", shards, window)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(sum(shards)))


@given(SHARDS, st.integers(1, 25), st.integers(0, 3))
def test_no_more_shards_than_the_window_are_needed_at_once(shards: list[int], window: int, seed: int) -> None:
    order = block_order(seed, 0, "f", shards, window)
    shard_of = np.repeat(np.arange(len(shards)), shards)[order]
    spans = [np.flatnonzero(shard_of == shard)[[0, -1]] for shard in np.unique(shard_of)]
    for place in range(len(order)):
        assert sum(first <= place <= last for first, last in spans) <= window


def test_the_order_is_a_function_of_seed_epoch_fingerprint_and_sizes() -> None:
    given = (7, 3, "abc", (50, 60, 70, 80), 2)
    assert np.array_equal(block_order(*given), block_order(*given))
    others = [(8, *given[1:]), (7, 4, *given[2:]), (7, 3, "abd", *given[3:]), (*given[:4], 3)]
    for other in others:
        assert not np.array_equal(block_order(*given), block_order(*other))


def test_the_order_never_changes() -> None:
    assert block_order(0, 0, "f", (3, 3, 3), 2).tolist() == [3, 1, 0, 2, 5, 4, 6, 8, 7]


def test_batches_mix_the_shards_of_the_window() -> None:
    shards, window = [200] * 12, 4
    shard_of = np.repeat(np.arange(12), shards)[block_order(0, 0, "f", shards, window)]
    mixed = [len(np.unique(shard_of[start : start + 32])) for start in range(0, 2400, 32)]
    assert min(mixed) >= 3
    begun = [int(np.flatnonzero(shard_of == shard)[0]) for shard in range(12)]
    assert begun != sorted(begun)


def test_a_window_over_all_shards_is_a_permutation_of_everything() -> None:
    order = block_order(0, 0, "f", [500, 500], 2)
    halves = [(order[:500] < 500).mean(), (order[500:] < 500).mean()]
    assert np.allclose(halves, 0.5, atol=0.1)
