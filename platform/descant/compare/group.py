"""Finished runs that were given by hand: which of them are seeds of one arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from descant.errors import UserError
from descant.recipe.recipe import flatten
from descant.report.run_folder import RunRecord, read_run

NOT_OF_AN_ARM = ("seed", "resume", "run.name", "run.dir", "run.resume", "trainer.loader_workers")
"""Keys by which runs of one arm may differ: compare itself sets them for each run."""


def group_runs(folders: Sequence[Path]) -> dict[str, dict[int, Path]]:
    """Group finished runs whose recipes differ by no more than the seed and the run's place; first is the baseline.

    Arms are named by the recipe keys in which they differ, or by their first run where these are many.

    Raises:
        UserError: a folder is no run or is not finished, one seed twice in an arm, or all runs of one arm.
    """
    recipes: list[dict[str, Any]] = []
    groups: list[dict[int, Path]] = []
    for folder in folders:
        run = _finished(folder)
        told = {key: value for key, value in run.recipe.items() if key != "callbacks"}
        recipe = {key: value for key, value in flatten(told).items() if key not in NOT_OF_AN_ARM}
        if recipe not in recipes:
            recipes.append(recipe)
            groups.append({})
        group = groups[recipes.index(recipe)]
        if run.seed in group:
            raise UserError(
                f"{str(folder)!r} and {str(group[run.seed])!r} have the same recipe and seed: leave one out"
            )
        group[run.seed] = folder
    if len(groups) < 2:
        raise UserError("all runs have the same recipe but for the seed: give runs of at least two recipes")
    return dict(zip(_arm_names(recipes, groups), groups, strict=True))


def _finished(folder: Path) -> RunRecord:
    run = read_run(folder)
    if run.status != "finished":
        raise UserError(f"{str(folder)!r} is {run.status}, not finished: let it finish or leave it out")
    return run


def _arm_names(recipes: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[int, Path]]) -> list[str]:
    absent = object()
    keys = sorted(
        key for key in set().union(*recipes) if any(r.get(key, absent) != recipes[0].get(key, absent) for r in recipes)
    )
    if len(keys) > 3:
        return [min(group.items())[1].name for group in groups]
    return [" ".join(f"{key}={recipe.get(key, 'absent')}" for key in keys) for recipe in recipes]
