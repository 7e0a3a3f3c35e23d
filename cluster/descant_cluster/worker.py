"""What runs in each worker of a run: the engine's training loop, with Ray's ranks."""

from __future__ import annotations

from pathlib import Path


def train(request_json: str) -> None:
    """Train as a request says, or continue what a worker before this one has begun.

    Args:
        request_json: the RunRequest as JSON.
    """
    from ray.train import get_context

    from descant.loop.ranks import Ranks
    from descant.loop.worker import work
    from descant.run.failure import Failure
    from descant.run.request import RunRequest
    from descant.run.stopping import StopFile

    request = RunRequest.from_json(request_json)
    folder = Path(request.folder)
    if Failure.read(folder) is not None:
        return  # the try before met an error that this one would meet again
    from descant_cluster.gauges import RunGauges

    context = get_context()
    ranks = Ranks(
        rank=context.get_world_rank(),
        world_size=context.get_world_size(),
        local_rank=context.get_local_rank(),
        local_world_size=context.get_local_world_size(),
    )
    work(request, ranks, StopFile(folder).requested, RunGauges(folder).row if ranks.is_first else None)
