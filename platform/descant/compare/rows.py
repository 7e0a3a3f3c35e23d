"""The rows of a comparison's table, the same for the terminal and the page: a section per metric, a row per arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from descant.report.numbers import decimals_of, interval, number, probability

if TYPE_CHECKING:
    from descant.compare.results import Cell, Comparison

COST_LABELS = {"wall_s": "wall time (s)", "throughput_samples_s": "samples per second"}
CONVERGENCE_LABELS = {
    "epochs_to_baseline_best": "epochs to the baseline's best loss",
    "steps_to_baseline_best": "steps to the baseline's best loss",
    "seconds_to_baseline_best": "seconds to the baseline's best loss",
    "speed_up": "speed-up (the baseline's epochs over the arm's)",
    "loss_ratio_quarter": "loss ratio after a quarter of the epochs",
    "loss_ratio_half": "loss ratio after half of the epochs",
    "loss_ratio_end": "loss ratio at the end",
    "loss_reduction_quarter": "relative reduction after a quarter of the epochs",
    "loss_reduction_half": "relative reduction after half of the epochs",
    "loss_reduction_end": "relative reduction at the end",
}


@dataclass(frozen=True)
class Row:
    """One arm's texts (arm, n, mean, difference, p) and its verdict."""

    texts: tuple[str, str, str, str, str]
    verdict: str


@dataclass(frozen=True)
class Section:
    """The rows of one metric or cost."""

    title: str
    rows: tuple[Row, ...]


def heads(comparison: Comparison) -> list[str]:
    """Return the columns' heads; the first one names the key whose values tell the arms apart."""
    return [_labels(comparison)[0], "n", "mean", "difference", "p", "verdict"]


def metrics(comparison: Comparison) -> list[tuple[str, str]]:
    """Return (task, metric) of all arms: the main metric first, then task by task, losses last."""
    pairs = dict.fromkeys(
        (task, metric)
        for task in tasks(comparison)
        for arm in comparison.arms
        for metric in sorted(arm.tasks.get(task, {}), key=lambda name: name == "loss")
    )
    return sorted(pairs, key=lambda pair: (pair != comparison.main, pair[0] != comparison.main[0]))


def tasks(comparison: Comparison) -> list[str]:
    """Return the tasks of all arms, the main task first."""
    return list(dict.fromkeys([comparison.main[0], *(task for arm in comparison.arms for task in arm.tasks)]))


def metric_sections(comparison: Comparison) -> list[Section]:
    """Return a section per task and metric, the main metric's first."""
    sections = []
    for task, metric in metrics(comparison):
        cells = _cells(comparison, task, metric)
        split = next(iter(cells.values())).split
        sections.append(Section(f"{task} {metric} ({split})", tuple(_rows(cells, comparison).values())))
    return sections


def main_rows(comparison: Comparison) -> dict[str, Row]:
    """Return the rows of the main metric by arm."""
    return _rows(_cells(comparison, *comparison.main), comparison)


def cost_sections(comparison: Comparison) -> list[Section]:
    """Return a section per cost of an arm."""
    return [
        Section(label, tuple(_rows({arm.name: arm.cost[cost] for arm in comparison.arms}, comparison).values()))
        for cost, label in COST_LABELS.items()
    ]


def convergence_sections(comparison: Comparison) -> list[Section]:
    """Return a section per measure of how fast the main task's validation loss fell."""
    sections = []
    for measure, label in CONVERGENCE_LABELS.items():
        cells = {arm.name: arm.convergence[measure] for arm in comparison.arms if measure in arm.convergence}
        if any(cell.estimate for cell in cells.values()):
            sections.append(Section(label, tuple(_rows(cells, comparison).values())))
    return sections


def short(key: str) -> str:
    """Return the last two parts of a recipe's key: enough to know it by."""
    return ".".join(key.split(".")[-2:])


def _cells(comparison: Comparison, task: str, metric: str) -> dict[str, Cell]:
    return {arm.name: cell for arm in comparison.arms if (cell := arm.tasks.get(task, {}).get(metric))}


def _rows(cells: dict[str, Cell], comparison: Comparison) -> dict[str, Row]:
    """Make the rows by arm with one number of decimals for all, so that they can be compared at a glance."""
    labels = _labels(comparison)[1]
    bounded = [part for cell in cells.values() for part in (cell.shown_estimate, cell.shown_difference) if part]
    halves = [(part.high - part.low) / 2 for part in bounded if part.low is not None and part.high is not None]
    decimals = decimals_of(halves)
    return {arm: Row(_texts(labels[arm], cell, decimals), _told(cell)) for arm, cell in cells.items()}


def _told(cell: Cell) -> str:
    """Return the verdict, nothing where the baseline has no such number: the row says enough by what it lacks."""
    return "" if cell.verdict == "not in both arms" else cell.verdict


def _texts(label: str, cell: Cell, decimals: int | None) -> tuple[str, str, str, str, str]:
    estimate, change = cell.shown_estimate, cell.shown_difference
    return (
        label,
        str(estimate.n if estimate else 0),
        interval(estimate.mean, estimate.low, estimate.high, decimals=decimals) if estimate else number(None),
        interval(change.mean, change.low, change.high, signed=True, decimals=decimals) if change else "",
        probability(change.p) if change else "",
    )


def _labels(comparison: Comparison) -> tuple[str, dict[str, str]]:
    """Return the head and the label of each arm: the values alone where all arms set the same keys."""
    pairs = {arm.name: [part.partition("=") for part in arm.name.split(" ")] for arm in comparison.arms}
    keys = {tuple(key for key, _, _ in parts) for parts in pairs.values()}
    if len(keys) > 1 or not all(equals for parts in pairs.values() for _, equals, _ in parts):
        return "arm", {name: name for name in pairs}
    head = " ".join(short(key) for key in next(iter(keys)))
    return head, {name: " ".join(value for _, _, value in parts) for name, parts in pairs.items()}
