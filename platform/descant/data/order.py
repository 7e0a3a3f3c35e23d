"""The order of samples: a pure function of (seed, epoch, data fingerprint), cut into batches before ranks.

An epoch deals positions to one data set or to several (mixture.py). G is the global batch, N the number of ranks.
Global batch b is a run of at most G positions; rank r takes its equal slice, so every rank has the same number of
batches and rows whatever the sizes; rows that only fill a slice up are marked.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from descant.data.blocks import block_order
from descant.data.mixture import Stream, interleaved

WINDOW = 8  # remote shards whose samples are mixed at a time


def permutation(seed: int, epoch: int, fingerprint: str, samples: int) -> np.ndarray:
    """Return the permutation of ``samples`` sample numbers in ``epoch``, (samples,) int64.

    It sorts raw 64-bit words of Philox (Salmon et al. 2011), whose stream numpy never changes.
    """
    words = np.random.Philox(key=_key(seed, epoch, fingerprint)).random_raw(samples)
    return np.argsort(words, kind="stable")


@lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, streams: tuple[Stream, ...], batch_size: int | None) -> np.ndarray:
    """Return the sample numbers of ``epoch`` over all streams, (positions,).

    A stream that has more or fewer positions in an epoch than samples goes on in the next epoch where it ended, with
    a new permutation at each pass. ``batch_size`` makes batches of one stream each; None mixes within batches.
    """
    most = max(stream.first + stream.samples for stream in streams)
    # Every loader process keeps two epochs.
    narrow = np.int32 if most <= np.iinfo(np.int32).max else np.int64
    order = np.empty(sum(stream.positions for stream in streams), narrow)
    for stream, places in zip(streams, interleaved(streams, batch_size), strict=True):
        order[places] = stream.first + _stream_order(seed, epoch, stream)
    order.setflags(write=False)
    return order


def _stream_order(seed: int, epoch: int, stream: Stream) -> np.ndarray:
    """Return the stream's own sample numbers in ``epoch``, (positions,)."""
    order = np.empty(stream.positions, np.int64)
    done = 0
    while done < stream.positions:
        number, start = divmod(epoch * stream.positions + done, stream.samples)
        piece = _pass(seed, number, stream)[start : start + stream.positions - done]
        order[done : done + len(piece)] = piece
        done += len(piece)
    return order


def _pass(seed: int, number: int, stream: Stream) -> np.ndarray:
    """Return the permutation of a stream's samples in one pass: flat, or for remote shards few shards at a time."""
    if stream.shards:
        return block_order(seed, number, stream.fingerprint, stream.shards, WINDOW)
    return permutation(seed, number, stream.fingerprint, stream.samples)


def sample_rng(seed: int, epoch: int, position: int) -> np.random.Generator:
    """Return the generator of all randomness in the sample at ``position`` of ``epoch``: crops, augmentations."""
    return np.random.Generator(np.random.Philox(key=[seed % 2**64, epoch], counter=[0, 0, 0, position]))


def view_rng(seed: int, epoch: int, position: int, task: str) -> np.random.Generator:
    """Return the generator of a task's own view of the sample at ``position`` of ``epoch``, whatever other tasks do."""
    bits = np.random.Philox(key=[seed % 2**64, epoch], counter=[0, zlib.crc32(task.encode()), 2, position])
    return np.random.Generator(bits)


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
    """Shuffled batches of one data set or of several, the same for any number of ranks.

    Attributes:
        streams: what each data set gives to an epoch.
        batch_size: G.
        homogeneous: whether all samples of a batch come from one data set.
    """

    seed: int
    streams: tuple[Stream, ...]
    batch_size: int
    rank: int = 0
    world_size: int = 1
    homogeneous: bool = False

    @classmethod
    def of_one(
        cls, seed: int, fingerprint: str, samples: int, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> TrainingOrder:
        """Return the order of one data set, each sample once an epoch."""
        return cls(seed, (Stream(fingerprint, samples, samples, 0),), batch_size, rank, world_size)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that decides the order but seed, epoch and batch size."""
        (first, *others) = self.streams
        if not others and not first.shards and first.positions == first.samples:
            return first.fingerprint
        digest = hashlib.blake2b(repr((self.streams, self.homogeneous)).encode(), digest_size=8)
        return digest.hexdigest()

    @property
    def samples(self) -> int:
        """Positions in an epoch."""
        return int(self.bounds[-1])

    @property
    def batches(self) -> int:
        """Batches in an epoch; the last one, and with ``homogeneous`` the last of each data set, may be smaller."""
        return len(self.bounds) - 1

    @cached_property
    def bounds(self) -> np.ndarray:
        """The first position of each batch, and the end, (batches + 1,): the same in every epoch."""
        if not self.homogeneous:
            total = sum(stream.positions for stream in self.streams)
            return np.append(np.arange(0, total, self.batch_size), total)
        places = interleaved(self.streams, self.batch_size)
        starts = [places_P[:: self.batch_size] for places_P in places]
        return np.append(np.sort(np.concatenate(starts)), sum(map(len, places)))

    def size(self, batch: int) -> int:
        """Return how many positions a batch has."""
        return int(self.bounds[batch + 1] - self.bounds[batch])

    def slice(self, epoch: int, batch: int) -> Slice:
        """Return this rank's rows of global batch ``batch`` of ``epoch``."""
        return self._rows(epoch, batch, self.rank, self.world_size)

    def whole(self, epoch: int, batch: int) -> Slice:
        """Return the rows of a global batch over all ranks."""
        return self._rows(epoch, batch, 0, 1)

    def _rows(self, epoch: int, batch: int, rank: int, world_size: int) -> Slice:
        order = epoch_order(self.seed, epoch, self.streams, self.batch_size if self.homogeneous else None)
        start, size = int(self.bounds[batch]), self.size(batch)
        rows = -(-size // world_size)
        places = np.arange(rank * rows, (rank + 1) * rows)
        positions = start + places % size
        return Slice(order[positions], positions, places < size)

    def passes(self, epoch: int, consumed: int) -> list[float]:
        """Return how often each data set was gone through, ``consumed`` positions into ``epoch``."""
        places = interleaved(self.streams, self.batch_size if self.homogeneous else None)
        return [
            (epoch * stream.positions + int((places_P < consumed).sum())) / stream.samples
            for stream, places_P in zip(self.streams, places, strict=True)
        ]

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
