"""From a plan to a finished study: hand its trials to a tuner, and write down what they came to."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from descant.errors import UserError
from descant.tune.plan import Plan
from descant.tune.progress import Listener
from descant.tune.results import Results, learned_from, results
from descant.tune.study import Study
from descant.tune.write import write_results

Tuner = Callable[[Study, Listener], None]


def open_study(plan: Plan, earlier: Path | None = None) -> Study:
    """Begin the study of a plan, or go on with it; ``earlier`` is the folder of one to learn from.

    Raises:
        UserError: the folder holds another study, or the earlier one tells nothing.
    """
    return Study(plan, learned_from(earlier, plan) if earlier is not None else ())


def make(study: Study, listener: Listener) -> tuple[Results, Path]:
    """Train what is left of a study; return what it came to, and its report.

    However the trials end, what there is so far is written down.
    """
    ended = False
    try:
        if study.open_trials():
            _tuner()(study, listener)
        ended = not study.open_trials()
    finally:
        found = results(study)
        report = write_results(study, found, "finished" if ended else "interrupted")
        study.lock.release()
    return found, report


def _tuner() -> Tuner:
    found = {entry.name: entry for entry in entry_points(group="descant.tuners")}
    if "ray" not in found:
        raise UserError("descant tune needs Ray's part of Descant, which is not installed: install the whole project")
    tuner: Tuner = found["ray"].load()
    return tuner
