"""The runner ``inline``: one rank in this process, for debuggers and small machines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from descant.loop.ranks import Ranks
from descant.loop.worker import work
from descant.run.log import Row
from descant.run.request import RunRequest
from descant.run.stopping import StopFile, on_interrupt

logger = logging.getLogger("descant")


def run_inline(
    request: RunRequest,
    on_row: Callable[[Row], None],
    on_lost: Callable[[Mapping[str, Any]], None] = lambda lost: None,
) -> None:
    """Train in this process.

    Args:
        request: what to train.
        on_row: called with each row that the run writes.
        on_lost: not called: there are no workers to lose.
    """
    if (workers := request.recipe["run"]["workers"]) not in (None, 1):
        logger.warning("run=inline trains in this process alone: run.workers=%s is not used", workers)
    stop = StopFile(Path(request.folder))
    stop.clear()
    try:
        with on_interrupt(stop.request):
            work(request, Ranks(), stop.requested, on_row)
    finally:
        stop.clear()
