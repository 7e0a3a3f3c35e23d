"""Has batches made by the loader's processes, in order."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from descant.data.batch import Batch
from descant.errors import RunError, UserError
from descant.loop.batches import BatchMaker
from descant.plugins import Plugin, load_plugins, loaded_plugins

Place = tuple[int, int]
"""(epoch, batch)"""


@dataclass(frozen=True)
class _Failed:
    """What could not be read, on its way to who asked for it: torch would make one long text of an exception."""

    error: UserError | RunError


class _Batches(Dataset[Batch | _Failed]):
    """A map from (epoch, batch) to a batch: torch's DataLoader deals the places to its processes in turn."""

    def __init__(self, maker: BatchMaker) -> None:
        self._maker = maker

    def __getitem__(self, place: Place) -> Batch | _Failed:
        try:
            return self._maker.make(*place)
        except (UserError, RunError) as error:
            return _Failed(error)

    def __reduce__(self) -> Any:
        """Bring the plugins along, so that a loader process that starts afresh knows the classes of the tasks."""
        return _restore, (loaded_plugins(), pickle.dumps(self._maker))


def _restore(plugins: list[Plugin], maker: bytes) -> _Batches:
    load_plugins(plugins)
    return _Batches(pickle.loads(maker))


def load_batches(maker: BatchMaker, places: Iterable[Place], workers: int, pin_memory: bool = False) -> Iterator[Batch]:
    """Yield the batches at ``places``, in order, made by ``workers`` processes (0: by this one).

    Raises:
        UserError, RunError: as ``BatchMaker.make``, whichever process makes the batch.
    """
    options: dict[str, Any] = {"prefetch_factor": 4, "worker_init_fn": _prepare_loader} if workers else {}
    loader: DataLoader[Batch | _Failed] = DataLoader(
        _Batches(maker),
        batch_size=None,
        sampler=places,
        num_workers=workers,
        collate_fn=_same,  # type: ignore[arg-type]
        pin_memory=pin_memory,
        **options,
    )
    for loaded in loader:
        if isinstance(loaded, _Failed):
            raise loaded.error
        yield loaded


def _same(batch: Batch | _Failed) -> Batch | _Failed:
    return batch


def _prepare_loader(worker: int) -> None:
    torch.set_num_threads(1)
    # Ctrl-C is the training process's to answer, which ends its loaders; a forked one has inherited its answers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
