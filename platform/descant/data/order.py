"""The order of samples: a pure function of (seed, epoch, data fingerprint), cut into batches before ranks.

G is the global batch, N the number of ranks. Global batch b is order[b·G : (b+1)·G]; rank r takes its equal slice, so
every rank has the same number of batches and rows whatever the sizes; rows that only fill a slice up are marked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, fingerprint: str, samples: int) -> np.ndarray:
    """Return the permutation of ``samples`` sample numbers in ``epoch``, (samples,) int64.

    It sorts raw 64-bit words of Philox (Salmon et al. 2011), whose stream numpy never changes.
    """
    words = np.random.Philox(key=_key(seed, epoch, fingerprint)).random_raw(samples)
    order = np.argsort(words, kind="stable")
    order.setflags(write=False)
    return order


def sample_rng(seed: int, epoch: int, position: int) -> np.random.Generator:
    """Return the generator of all randomness in the sample at ``position`` of ``epoch``: crops, augmentations."""
    return np.random.Generator(np.random.Philox(key=[seed % 2**64, epoch], counter=[0, 0, 0, position]))


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of all randomness in the model (dropout) at ``step`` on ``rank``: a resume needs no RNG state."""
    return int(_key(seed, step, f"rank {rank}")) % 2**63


@dataclass(frozen=True)
class Slice:
    """One rank's rows of one global batch.

    Attributes:
        samples: sample numbers, (rows,).
        positions: their positions in the epoch, (rows,).
        valid: False for rows that repeat a sample only to fill the slice up, (rows,).
    """

    samples: np.ndarray
    positions: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class TrainingOrder:
    """Shuffled batches of a split, the same for any number of ranks.

    Attributes:
        samples: size of the split.
        batch_size: G.
        fingerprint: of the data.
    """

    seed: int
    fingerprint: str
    samples: int
    batch_size: int
    rank: int = 0
    world_size: int = 1

    @property
    def batches(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-self.samples // self.batch_size)

    def slice(self, epoch: int, batch: int) -> Slice:
        """Return this rank's rows of global batch ``batch`` of ``epoch``."""
        order = epoch_order(self.seed, epoch, self.fingerprint, self.samples)
        start = batch * self.batch_size
        size = min(self.batch_size, self.samples - start)
        rows = -(-size // self.world_size)
        places = np.arange(self.rank * rows, (self.rank + 1) * rows)
        positions = start + places % size
        return Slice(order[positions], positions, places < size)

    def walk(self, epoch: int, batch: int, steps: int) -> Iterator[tuple[int, int]]:
        """Yield ``steps`` pairs (epoch, batch) from the one given on, over as many epochs as that takes."""
        for _ in range(steps):
            yield epoch, batch
            batch += 1
            if batch == self.batches:
                epoch, batch = epoch + 1, 0


@dataclass(frozen=True)
class EvaluationOrder:
    """Whole batches in stored order, dealt to the ranks in turn.

    A batch is computed by one rank alone, just as one rank alone would compute it, so that metrics are identical on
    any number of ranks; in the last round some ranks may have none.
    """

    samples: int
    batch_size: int
    rank: int = 0
    world_size: int = 1

    @property
    def batches(self) -> int:
        """Batches of the whole split, over all ranks."""
        return -(-self.samples // self.batch_size)

    def slice(self, epoch: int, batch: int) -> Slice:
        """Return the rows of ``batch``; ``epoch`` does not matter."""
        rows = np.arange(batch * self.batch_size, min((batch + 1) * self.batch_size, self.samples))
        return Slice(rows, rows, np.ones(len(rows), bool))

    def walk(self) -> Iterator[tuple[int, int]]:
        """Yield (0, batch) for this rank's batches."""
        for batch in range(self.rank, self.batches, self.world_size):
            yield 0, batch


Order = TrainingOrder | EvaluationOrder


def _key(seed: int, number: int, text: str) -> int:
    digest = hashlib.blake2b(f"{seed} {number} {text}".encode(), digest_size=16).digest()
    return int.from_bytes(digest, "little")
