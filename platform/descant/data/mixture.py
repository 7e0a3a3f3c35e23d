"""How several data sets share an epoch: how many positions each gets, and which.

Shapes: P positions of one data set in an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from descant.errors import UserError


@dataclass(frozen=True)
class Stream:
    """One data set as the order sees it.

    Attributes:
        fingerprint: of its samples.
        samples: how many it has.
        positions: how many of an epoch's positions are its own.
        first: the number of its first sample among the samples of all data sets.
        shards: how many samples each shard has, where shards are fetched one by one (blocks.py); else empty.
    """

    fingerprint: str
    samples: int
    positions: int
    first: int
    shards: tuple[int, ...] = ()


def shares(sizes: Sequence[int], weights: Sequence[float] | None, temperature: float | None, total: int) -> list[int]:
    """Return how many of an epoch's positions each data set gets.

    Args:
        sizes: samples of each.
        weights: relative shares, or None.
        temperature: T of shares ∝ size^(1/T), or None: 1 is proportional, more lifts the small ones.
        total: positions of the epoch; without weights and temperature each sample comes once, whatever this is.

    Raises:
        UserError: weights that sum to nothing, or a data set whose share is less than one position.
    """
    if weights is None and temperature is None:
        return list(sizes)
    raw = np.asarray(weights, float) if weights is not None else np.asarray(sizes, float) ** (1.0 / (temperature or 1))
    if not np.isfinite(raw).all() or (raw < 0).any() or not raw.sum() > 0:
        raise UserError(f"the data sets' weights are {raw.tolist()}: give numbers from 0 of which one is above")
    return largest_remainder(raw / raw.sum(), total)


def largest_remainder(fractions: np.ndarray, total: int) -> list[int]:
    """Return whole numbers nearest to ``fractions * total`` that sum to ``total`` (Hamilton's method)."""
    exact = np.asarray(fractions, float) * total
    counts = np.floor(exact).astype(np.int64)
    missing = total - int(counts.sum())
    for index in np.argsort(counts - exact, kind="stable")[:missing]:
        counts[index] += 1
    return [int(count) for count in counts]


@lru_cache(maxsize=4)
def interleaved(streams: tuple[Stream, ...], batch_size: int | None) -> tuple[np.ndarray, ...]:
    """Return each stream's positions in an epoch, ascending, (P,) each; together they are all positions.

    Each stream is spread evenly: its k-th unit stands at (k + 1/2) / units of the epoch, the earlier stream first
    where two meet. A unit is a position, or with ``batch_size`` a batch of one stream.
    """
    if len(streams) == 1:
        return (_ascending(streams[0].positions),)
    units = [-(-stream.positions // (batch_size or 1)) for stream in streams]
    times = np.concatenate([(np.arange(count) + 0.5) / max(count, 1) for count in units])
    owner = np.repeat(np.arange(len(streams)), units)
    sequence = owner[np.lexsort((owner, times))]
    if batch_size is None:
        return tuple(np.flatnonzero(sequence == index) for index in range(len(streams)))
    sizes = np.full(len(sequence), batch_size)
    for index, stream in enumerate(streams):
        if stream.positions % batch_size:
            sizes[np.flatnonzero(sequence == index)[-1]] = stream.positions % batch_size
    of_position = np.repeat(sequence, sizes)
    return tuple(np.flatnonzero(of_position == index) for index in range(len(streams)))


def _ascending(count: int) -> np.ndarray:
    places = np.arange(count)
    places.setflags(write=False)
    return places
