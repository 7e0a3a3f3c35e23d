"""The order of samples for remote shards: shards in shuffled order, samples shuffled over a window of shards.

Reading needs few shards at once, one after the other comes in and goes out, and each sample comes exactly once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def block_order(seed: int, epoch: int, fingerprint: str, shard_samples: Sequence[int], window: int) -> np.ndarray:
    """Return the permutation of all sample numbers in ``epoch``, (samples,) int64.

    Of S shuffled shards the k-th one spreads its samples over the slots from max(0, k - window + 1) to
    min(S - window, k), so each slot mixes samples of ``window`` shards, and at no time are more than ``window`` shards
    begun and unfinished. With no more shards than ``window`` there is one slot: a permutation of everything.

    Args:
        seed: of the run.
        epoch: from 0.
        fingerprint: of the data.
        shard_samples: how many samples each shard has.
        window: of how many shards at a time samples are mixed, from 1.
    """
    assert window >= 1, f"a window of {window} shards holds none"
    sizes_S = np.asarray(shard_samples, np.int64)
    total = int(sizes_S.sum())
    digest = hashlib.blake2b(f"{seed} {epoch} {fingerprint} blocks".encode(), digest_size=16).digest()
    # raw words of Philox (Salmon et al. 2011), whose stream numpy never changes
    words = np.random.Philox(key=int.from_bytes(digest, "little")).random_raw(len(sizes_S) + 2 * total)
    shard_words, slot_words, place_words = np.split(words, [len(sizes_S), len(sizes_S) + total])
    rank_S = np.empty(len(sizes_S), np.int64)
    rank_S[np.argsort(shard_words, kind="stable")] = np.arange(len(sizes_S))
    first_S = np.maximum(rank_S - window + 1, 0)
    last_S = np.maximum(np.minimum(len(sizes_S) - window, rank_S), 0)
    slots_S = (last_S - first_S + 1).astype(np.uint64)
    slot_N = np.repeat(first_S, sizes_S) + (slot_words % np.repeat(slots_S, sizes_S)).astype(np.int64)
    return np.lexsort((place_words, slot_N))
