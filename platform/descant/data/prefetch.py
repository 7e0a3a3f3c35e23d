"""Fetches shards in the background, so that they are here when they are read."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

from descant.data.folder import Folder
from descant.data.index import ShardIndex
from descant.errors import RunError

_THREADS = 2  # a loader has several processes, and a download several connections
_REMEMBERED = 64  # shards that were fetched and not read

logger = logging.getLogger("descant")


class Prefetch:
    """Threads of one process that fetch shards in the order in which they are asked for.

    Attributes:
        pid: the process.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._threads = ThreadPoolExecutor(_THREADS, "descant-prefetch")
        self._begun: OrderedDict[str, Future[None]] = OrderedDict()

    def begin(self, folder: Folder, index: ShardIndex) -> None:
        """Fetch a shard unless that was begun since it was read; an error is met again when it is read."""
        name = index.path.name
        if name in self._begun:
            return
        self._begun[name] = self._threads.submit(_fetch, folder, index)
        if len(self._begun) > _REMEMBERED:
            self._begun.popitem(last=False)

    def forget(self, index: ShardIndex) -> None:
        """Note that a shard is read: when it has gone, it may be fetched again."""
        self._begun.pop(index.path.name, None)

    def close(self) -> None:
        """Let go of what has not begun; what has begun ends by itself."""
        if self.pid == os.getpid():
            self._threads.shutdown(wait=False, cancel_futures=True)


def _fetch(folder: Folder, index: ShardIndex) -> None:
    try:
        folder.fetch(index)
    except RunError as error:
        logger.debug("%s could not be fetched ahead: %s", index.path.name, error)
