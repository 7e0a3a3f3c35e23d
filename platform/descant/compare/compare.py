"""Compare arms of finished runs: per task and metric a mean with its interval, the paired difference and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from descant.compare.convergence import converged
from descant.compare.results import ArmResult, Cell, Comparison
from descant.compare.statistics import Direction
from descant.errors import UserError
from descant.report.run_folder import Bounds, RunRecord, is_run, read_run

COSTS: dict[str, Direction] = {"wall_s": "min", "throughput_samples_s": "max"}
POSITIVE: Bounds = (0.0, float("inf"))
Runs = Mapping[int, RunRecord]  # by seed


def compare_runs(
    arms: Mapping[str, Mapping[int, Path]], recipe: str = "", failures: Mapping[Path, str] | None = None
) -> Comparison:
    """Compare run folders given by arm and seed; the first arm is the baseline.

    Only finished runs count; the others are listed as missing with the reason that ``failures`` gives by folder, else
    with their status. Pairs are the seeds at which both arms have a finite value. A task's numbers are of the split
    test if every run has them there, else of validation at the best checkpoint.

    Raises:
        UserError: no arm, or not one finished run.
    """
    read = {arm: _read(folders, failures or {}) for arm, folders in arms.items()}
    every = [run for runs, _ in read.values() for run in runs.values()]
    if not every:
        raise UserError("there is no finished run to compare: see the logs of the runs, then start them again")
    splits = {task: _split(task, every) for run in every for task in run.tasks}
    baseline, _ = next(iter(read.values()))
    results = [
        ArmResult(
            arm,
            runs,
            missing,
            _tasks(runs, baseline, splits),
            _cost(runs, baseline),
            converged(runs, baseline, every[0].main[0]),
        )
        for arm, (runs, missing) in read.items()
    ]
    return Comparison(every[0].main, tuple(results), recipe, _notes(every))


def _read(folders: Mapping[int, Path], failures: Mapping[Path, str]) -> tuple[dict[int, RunRecord], dict[int, str]]:
    """Return the finished runs by seed, and of the others why they are missing."""
    runs: dict[int, RunRecord] = {}
    missing: dict[int, str] = {}
    for seed, folder in sorted(folders.items()):
        run = read_run(folder) if is_run(folder) else None
        if run and run.status == "finished":
            runs[seed] = run
        else:
            missing[seed] = failures.get(folder) or (run.status if run else "not run")
    return runs, missing


def _notes(runs: Sequence[RunRecord]) -> tuple[str, ...]:
    """Say of runs on different data that they are: each arm's difference is then one of the data too."""
    known = {run.data_fingerprint: str(run.recipe.get("data", "")) for run in runs if run.data_fingerprint}
    if len(known) < 2:
        return ()
    told = ", ".join(f"{data!r} ({fingerprint})" for fingerprint, data in known.items())
    return (f"These runs were made on different data sets, {told}: differences between them may come from the data.",)


def _split(task: str, runs: Sequence[RunRecord]) -> str:
    having = [run for run in runs if task in run.tasks]
    return "test" if all(run.tasks[task].get("test") for run in having) else "validation"


def _tasks(arm: Runs, baseline: Runs, splits: Mapping[str, str]) -> dict[str, dict[str, Cell]]:
    cells: dict[str, dict[str, Cell]] = {}
    for task, split in splits.items():
        having = [run for run in arm.values() if task in run.tasks]
        for metric in dict.fromkeys(metric for run in having for metric in _values(run, task, split)):
            direction = next((given for run in having if (given := run.direction(task, metric))), None)
            bounds = next((known for run in having if (known := run.bounds(task, metric))), None)
            empty = Cell(split, cast("Direction | None", direction), bounds)
            values, reference = (
                {seed: _values(run, task, split).get(metric) for seed, run in runs.items()} for runs in (arm, baseline)
            )
            cells.setdefault(task, {})[metric] = empty.filled(values, None if arm is baseline else reference)
    return cells


def _cost(arm: Runs, baseline: Runs) -> dict[str, Cell]:
    cells = {}
    for name, direction in COSTS.items():
        values, reference = ({s: _float(run.summary.get(name)) for s, run in runs.items()} for runs in (arm, baseline))
        empty = Cell("train", direction, POSITIVE)
        cells[name] = empty.filled(values, None if arm is baseline else reference)
    return cells


def _values(run: RunRecord, task: str, split: str) -> Mapping[str, float | None]:
    described = run.tasks.get(task, {})
    values = (described.get("test") if split == "test" else described.get("best")) or {}
    return {metric: _float(value) for metric, value in values.items()}


def _float(value: float | int | None) -> float | None:
    return None if value is None else float(value)  # JSON writes whole floats of some writers as integers
