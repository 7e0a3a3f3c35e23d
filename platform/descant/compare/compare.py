"""Compare arms of finished runs: per task and metric a mean with its interval, the paired difference and a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from descant.compare.statistics import (
    Direction,
    Estimate,
    PairedDifference,
    Verdict,
    finite,
    mean_interval,
    paired_difference,
    verdict,
)
from descant.errors import UserError
from descant.report.run_folder import RunRecord, is_run, read_run

COSTS: dict[str, Direction] = {"wall_s": "min", "throughput_samples_s": "max"}


@dataclass(frozen=True)
class Cell:
    """One arm, task and metric: values by seed, their mean, and what sets them apart from the baseline's."""

    split: str
    direction: Direction | None
    values: Mapping[int, float | None]
    estimate: Estimate | None
    difference: PairedDifference | None
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        estimate, difference = self.estimate, self.difference
        return {
            "mean": estimate and estimate.mean,
            "low": estimate and estimate.low,
            "high": estimate and estimate.high,
            "median": estimate and estimate.median,
            "n": estimate.n if estimate else 0,
            "difference": difference and difference.mean,
            "difference_low": difference and difference.low,
            "difference_high": difference and difference.high,
            "difference_median": difference and difference.median,
            "pairs": difference.n if difference else 0,
            "p": difference and difference.p,
            "verdict": self.verdict,
            "direction": self.direction,
            "split": self.split,
            "values": {
                str(seed): value if value is not None and math.isfinite(value) else None
                for seed, value in sorted(self.values.items())
            },
        }


@dataclass(frozen=True)
class ArmResult:
    """One arm: its finished runs by seed, why others are missing, and its cells by task and metric and by cost."""

    name: str
    runs: Mapping[int, RunRecord]
    missing: Mapping[int, str]
    tasks: Mapping[str, Mapping[str, Cell]]
    cost: Mapping[str, Cell]


@dataclass(frozen=True)
class Comparison:
    """Arms side by side; the first is the baseline. ``main`` is (task, metric) of the baseline's main task."""

    main: tuple[str, str]
    arms: tuple[ArmResult, ...]
    recipe: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def baseline(self) -> ArmResult:
        return self.arms[0]

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``compare --json`` prints; what is not known is null."""
        arms = {
            arm.name: {
                "tasks": {
                    task: {metric: cell.to_json() for metric, cell in cells.items()}
                    for task, cells in arm.tasks.items()
                },
                "cost": {name: cell.to_json() for name, cell in arm.cost.items()},
                "runs": {str(seed): str(run.folder) for seed, run in arm.runs.items()},
                "missing": {str(seed): reason for seed, reason in arm.missing.items()},
            }
            for arm in self.arms
        }
        main = {"task": self.main[0], "metric": self.main[1]}
        return {"recipe": self.recipe, "baseline": self.baseline.name, "main": main, "arms": arms}


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
    records: dict[str, dict[int, RunRecord]] = {}
    missing: dict[str, dict[int, str]] = {}
    for arm, folders in arms.items():
        records[arm], missing[arm] = {}, {}
        for seed, folder in sorted(folders.items()):
            run = read_run(folder) if is_run(folder) else None
            if run and run.status == "finished":
                records[arm][seed] = run
            else:
                missing[arm][seed] = (failures or {}).get(folder) or (run.status if run else "not run")
    every = [run for runs in records.values() for run in runs.values()]
    if not every:
        raise UserError("there is no finished run to compare: see the logs of the runs, then start them again.")
    splits = {task: _split(task, every) for run in every for task in run.tasks}
    baseline = records[next(iter(arms))]
    results = [ArmResult(a, records[a], missing[a], _tasks(records[a], baseline, splits), _cost(records[a], baseline))
               for a in arms]  # fmt: skip
    return Comparison(every[0].main, tuple(results), recipe)


def group_runs(folders: Sequence[Path]) -> dict[str, dict[int, Path]]:
    """Group finished runs whose recipes differ by no more than the seed and the run's place; first is the baseline.

    Arms are named by the recipe keys in which they differ, or by their first run where these are many.

    Raises:
        UserError: a folder is no run or is not finished, one seed twice in an arm, or all runs of one arm.
    """
    recipes: list[dict[str, Any]] = []
    groups: list[dict[int, Path]] = []
    for folder in folders:
        run = read_run(folder)
        if run.status != "finished":
            raise UserError(f"{str(folder)!r} is {run.status}, not finished: let it finish or leave it out.")
        recipe = flat({key: value for key, value in run.recipe.items() if key not in ("seed", "resume")})
        for key in ("run.name", "run.dir", "run.resume"):
            recipe.pop(key, None)
        if recipe not in recipes:
            recipes.append(recipe)
            groups.append({})
        group = groups[recipes.index(recipe)]
        if run.seed in group:
            raise UserError(
                f"{str(folder)!r} and {str(group[run.seed])!r} have the same recipe and seed: leave one out."
            )
        group[run.seed] = folder
    if len(groups) < 2:
        raise UserError("all runs have the same recipe but for the seed: give runs of at least two recipes.")
    return dict(zip(_arm_names(recipes, groups), groups, strict=True))


def flat(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping with dotted keys; an empty mapping is a value of its own."""
    items: dict[str, Any] = {}
    for key, value in recipe.items():
        name = f"{prefix}{key}"
        items.update(flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value})
    return items


def _arm_names(recipes: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[int, Path]]) -> list[str]:
    absent = object()
    keys = sorted(
        key for key in set().union(*recipes) if any(r.get(key, absent) != recipes[0].get(key, absent) for r in recipes)
    )
    if len(keys) > 3:
        return [min(group.items())[1].name for group in groups]
    return [" ".join(f"{key}={recipe.get(key, 'absent')}" for key in keys) for recipe in recipes]


def _split(task: str, runs: Sequence[RunRecord]) -> str:
    having = [run for run in runs if task in run.tasks]
    return "test" if all(run.tasks[task].get("test") for run in having) else "validation"


def _tasks(
    arm: Mapping[int, RunRecord], baseline: Mapping[int, RunRecord], splits: Mapping[str, str]
) -> dict[str, dict[str, Cell]]:
    cells: dict[str, dict[str, Cell]] = {}
    for task, split in splits.items():
        having = [run for run in arm.values() if task in run.tasks]
        metrics = dict.fromkeys(metric for run in having for metric in _values(run, task, split))
        for metric in metrics:
            direction = next((given for run in having if (given := run.direction(task, metric))), None)
            values, reference = (
                {seed: _values(run, task, split).get(metric) for seed, run in runs.items()} for runs in (arm, baseline)
            )
            cells.setdefault(task, {})[metric] = _cell(
                split, cast("Direction | None", direction), values, reference, arm is baseline
            )
    return cells


def _cost(arm: Mapping[int, RunRecord], baseline: Mapping[int, RunRecord]) -> dict[str, Cell]:
    cells = {}
    for name, direction in COSTS.items():
        values, reference = ({s: _float(run.summary.get(name)) for s, run in runs.items()} for runs in (arm, baseline))
        cells[name] = _cell("train", direction, values, reference, arm is baseline)
    return cells


def _cell(
    split: str,
    direction: Direction | None,
    values: Mapping[int, float | None],
    reference: Mapping[int, float | None],
    is_baseline: bool,
) -> Cell:
    estimate = mean_interval(list(finite(values).values()))
    if is_baseline:
        return Cell(split, direction, values, estimate, None, "baseline")
    difference = paired_difference(values, reference)
    return Cell(split, direction, values, estimate, difference, verdict(difference, direction))


def _values(run: RunRecord, task: str, split: str) -> Mapping[str, float | None]:
    described = run.tasks.get(task, {})
    values = (described.get("test") if split == "test" else described.get("best")) or {}
    return {metric: _float(value) for metric, value in values.items()}


def _float(value: float | int | None) -> float | None:
    return None if value is None else float(value)  # JSON writes whole floats of some writers as integers
