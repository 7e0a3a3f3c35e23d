"""One rank of a run, whichever runner started it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from descant.errors import Interrupted, StoppedTogether
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.loop.record import Record
from descant.loop.train import Training
from descant.plugins import load_plugins
from descant.recipe import parse_recipe
from descant.redaction import hide, redact_error
from descant.run.failure import Failure, is_connection_loss
from descant.run.folder import RunFolder
from descant.run.log import Row
from descant.run.request import RunRequest


def work(
    request: RunRequest,
    ranks: Ranks,
    should_stop: Callable[[], bool],
    on_row: Callable[[Row], None] | None = None,
) -> None:
    """Train until the run is finished, interrupted or failed, and write that into the run folder.

    What all ranks find together (a loss that is not finite, too many bad samples, a request to stop) ends in
    ``summary.json``, and this returns. Any other exception is written to ``failure.json``, so that a restarted worker
    does not run into it again, and goes on up.
    """
    folder = RunFolder(Path(request.folder))
    for value, placeholder in request.hidden.items():
        hide(value, placeholder)
    try:
        load_plugins(request.plugins)
        experiment = Experiment.build(parse_recipe(request.recipe), tests=request.tests)
        training = Training(experiment, folder, ranks, should_stop)
        writes, world_size = ranks.is_first, ranks.world_size
        record = Record(experiment, folder, training.progress, writes=writes, world_size=world_size, on_row=on_row)
        status, error = _train(training, record)
        record.close(status, training.progress, error)
        ranks.barrier()
    except Exception as problem:
        if not is_connection_loss(problem):
            Failure.of(problem).write(folder.path)
        redact_error(problem)  # Ray logs it
        raise


def _train(training: Training, record: Record) -> tuple[str, str | None]:
    try:
        training.run(record)
    except Interrupted:
        return "interrupted", None
    except StoppedTogether as error:
        return "failed", str(error)
    return "finished", None
