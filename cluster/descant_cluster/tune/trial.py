"""What runs in the process of a trial: the engine's training loop, with Ray Tune told of each evaluation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

WORST = -1e30  # of a score that is no number: schedulers take means and quantiles


def train(config: dict[str, Any]) -> None:
    """Train the trial that ``config`` describes, or go on with it.

    Args:
        config: ``job`` (as JSON), ``objective`` (that schedulers go by), ``resources`` of the cluster.
    """
    from ray import tune

    from descant.errors import UserError
    from descant.run.failure import Failure
    from descant.tune.objective import Evaluation, Objective
    from descant.tune.trial import Job, run_trial, train_here
    from descant_cluster.tune.nested import on_workers

    job, objective = Job.from_json(config["job"]), Objective(**config["objective"])

    def report(evaluation: Evaluation) -> None:
        score = objective.score(evaluation.of(objective))
        tune.report({"epochs": evaluation.epochs, "score": score if math.isfinite(score) else WORST})

    try:
        run_trial(job, on_workers(config["resources"]) if config["nested"] else train_here, report)
    except UserError as error:  # another try would meet it again
        Failure.of(error).write(Path(job.folder))
