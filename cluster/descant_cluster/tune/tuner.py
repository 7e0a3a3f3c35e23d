"""The tuner ``ray``: trains a study's trials side by side, by Ray Tune.

All that lasts is in the study's folder: which trials there are, what the schedulers decided, and the run folder of each
trial. What Ray Tune writes for itself is scratch, and gone in the end.
"""

from __future__ import annotations

import logging
import os
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descant.errors import RunError
from descant.run.stopping import on_interrupt
from descant.tune.progress import Listener
from descant.tune.study import Study
from descant_cluster.fit import Fit, scratch_folder
from descant_cluster.session import cluster
from descant_cluster.tune.room import Room

logger = logging.getLogger("descant")
POLL_S = 0.1
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # a trial's numbers are in its run folder
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Ray Tune's own record, which nothing is restored from
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # the other way prints tables, however silent it is asked to be
}


def tune_on_ray(study: Study, listener: Listener) -> None:
    """Train what is left of a study, until all of its trials have ended or the user has asked to stop.

    Args:
        study: which says what to train, and hears what came of it.
        listener: called, in another thread, with what happens.

    Raises:
        UserError: the cluster can never hold a trial, or not all of a population.
        RunError: Ray ended the study.
        KeyboardInterrupt: a second Ctrl-C.
    """
    room = Room.of(study.plan)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logger.info("joining the Ray cluster" if room.run.address else "starting Ray on this machine")
    with scratch_folder(study.folder) as scratch, cluster(room) as resources, on_interrupt(study.stop):
        slots = room.slots(study.plan, resources)
        if study.plan.base.trainer.loader_workers is None:
            study.trainer = {"loader_workers": room.loader_workers(slots)}
        logger.info("%d trials to train, %d side by side", study.open_trials(), slots)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures are told in a sentence
        # Members of a population never leave their process here.
        warnings.filterwarnings("ignore", "Consider boosting PBT performance")
        fit = Fit(_tuner(study, room, slots, resources, scratch, listener).fit)
        while fit.is_running(POLL_S):
            pass
    if fit.error is not None and not study.is_stopping():
        raise RunError(f"Ray Tune ended the study: {type(fit.error).__name__}: {fit.error}") from fit.error


def _name(trial: Any) -> str:
    return str(trial.trial_id)


def _tuner(
    study: Study, room: Room, slots: int, resources: Mapping[str, float], scratch: Path, listener: Listener
) -> Any:
    from ray import tune

    from descant_cluster.tune.schedulers import make_scheduler
    from descant_cluster.tune.searcher import StudySearcher
    from descant_cluster.tune.trial import train

    # A trial of several workers asks for their CPUs by Ray Train; its own process only waits. It takes some memory,
    # since Ray Tune refuses what takes nothing.
    own = (
        {"memory": 2.0**20} if room.is_nested else {"CPU": float(room.run.cpus_per_worker), "GPU": room.gpus(resources)}
    )
    given = {
        "objective": study.plan.objectives[0].plain(),
        "nested": room.is_nested,
        "resources": {name: float(resources.get(name, 0.0)) for name in ("CPU", "GPU")},
    }
    return tune.Tuner(
        tune.with_resources(train, tune.PlacementGroupFactory([own])),
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(study, given, listener),
            scheduler=make_scheduler(study, listener),
            num_samples=study.open_trials(),
            max_concurrent_trials=slots,
            trial_name_creator=_name,
            trial_dirname_creator=_name,  # else it would spell out what is searched, and with it the whole recipe
        ),
        run_config=_run_config(study, scratch, listener),
    )


def _run_config(study: Study, scratch: Path, listener: Listener) -> Any:
    from ray import tune

    from descant_cluster.tune.follow import Follower

    return tune.RunConfig(
        name=uuid.uuid4().hex,
        storage_path=str(scratch),
        failure_config=tune.FailureConfig(max_failures=study.plan.settings.retries),
        callbacks=[Follower(study, listener)],
        verbose=0,
    )
