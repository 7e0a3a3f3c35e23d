"""What a comparison showed, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from descant.compare.rows import main_rows
from descant.report.numbers import counted

if TYPE_CHECKING:
    from descant.compare.results import ArmResult, Cell, Comparison

INTERVAL_NOTE = (
    "Mean over seeds [95 % t interval]; difference from the baseline over the seeds that both have, with its 95 % "
    "interval and the p value of the paired t-test. Each verdict speaks of its own row: with many rows a few "
    "differences come by chance."
)

CONVERGENCE_NOTE = (
    "By the main task's validation loss, each evaluation averaged with the two before, beside the baseline's run of "
    "the same seed. n counts the seeds that reach the baseline's best loss at all: the mean is of these alone. Loss "
    "ratio and relative reduction compare equal epochs."
)


def findings(comparison: Comparison) -> list[str]:
    """Say what the baseline reached in the main metric, then of each other arm how it differs, then the notes."""
    task, metric = comparison.main
    name, cell = comparison.baseline.name, _main_cell(comparison, comparison.baseline)
    if cell is None or cell.estimate is None:
        said = [f"The baseline {name} has no value of {task} {metric}."]
    else:
        texts = {arm: row.texts for arm, row in main_rows(comparison).items()}
        seeds = counted(cell.estimate.n, "seed")
        said = [f"Baseline {name}: {task} {metric} {texts[name][2]} on {cell.split} ({seeds})."]
        said += [_finding(comparison, arm, texts.get(arm.name, "")) for arm in comparison.arms[1:]]
        said += [text for arm in comparison.arms[1:] if (text := _speed(comparison, arm))]
    return [*said, *comparison.notes]


def _finding(comparison: Comparison, arm: ArmResult, texts: Sequence[str]) -> str:
    cell = _main_cell(comparison, arm)
    if cell is None or cell.difference is None:
        return f"{arm.name}: it shares no finished seed with the baseline."
    return f"{arm.name}: {cell.verdict}, {texts[3]} ({counted(cell.difference.n, 'seed')})."


def _speed(comparison: Comparison, arm: ArmResult) -> str:
    """Say how soon an arm came to the baseline's best loss, and how many seeds did; empty without curves."""
    name = "epochs_to_baseline_best"
    cell, base = arm.convergence.get(name), comparison.baseline.convergence.get(name)
    if cell is None or base is None or base.estimate is None:
        return ""
    asked = counted(len(cell.values), "seed")
    if cell.estimate is None:
        return f"{arm.name}: none of {asked} reaches the baseline's best validation loss."
    own = [base.values[seed] for seed, value in cell.values.items() if value is not None]
    before = sum(value for value in own if value is not None) / len(own)
    return (
        f"{arm.name}: {cell.estimate.n} of {asked} reach the baseline's best validation loss, after "
        f"{cell.estimate.mean:.3g} epochs where the baseline takes {before:.3g}."
    )


def _main_cell(comparison: Comparison, arm: ArmResult) -> Cell | None:
    return arm.tasks.get(comparison.main[0], {}).get(comparison.main[1])
