"""Figures of a comparison: curves per arm with 95 % bands over the seeds, and the paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from descant.compare.rows import metrics, short, tasks
from descant.compare.statistics import Estimate, mean_interval, within
from descant.report.drawing import FAINT, colour, drawing, epoch_axis, line, panels, wrapped
from descant.report.numbers import same

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descant.compare.results import ArmResult, Cell, Comparison


def curves_figure(comparison: Comparison) -> Figure | None:
    """Return the main metric and every task's loss on validation over the epochs; None without a single curve.

    A line is the mean over seeds; its band, where two or more seeds reached the epoch, the mean's 95 % t interval.
    """
    wanted = [comparison.main, *((task, "loss") for task in tasks(comparison))]
    drawn = [panel for panel in dict.fromkeys(wanted) if any(arm_curve(arm, *panel) for arm in comparison.arms)]
    if not drawn:
        return None
    with drawing():
        figure, axes = panels(len(drawn), height_in=3.0)
        for axis, (task, metric) in zip(axes, drawn, strict=True):
            for position, arm in enumerate(comparison.arms):
                _draw_curve(axis, arm_curve(arm, task, metric), position, arm.name)
            axis.set_title(f"{task}: {metric}")
            axis.set_ylabel("mean over seeds")
            epoch_axis(axis)
        handles, labels = axes[0].get_legend_handles_labels()
        columns = max(1, min(len(labels), 110 // (8 + max(map(len, labels), default=1))))
        figure.legend(handles, labels, loc="outside upper left", ncols=columns)
    return figure


def differences_figure(comparison: Comparison) -> Figure | None:
    """Return each arm's paired difference from the baseline per task and metric: dot, 95 % interval, single pairs.

    None when there is no pair at all.
    """
    arms = comparison.arms[1:]
    drawn = _apart(comparison)
    if not drawn:
        return None
    with drawing():
        figure, axes = panels(len(drawn), height_in=1.25 + 0.32 * len(arms))
        for position, (axis, (task, metric)) in enumerate(zip(axes, drawn, strict=True)):
            title = f"{task}: {' = '.join(drawn[task, metric])}".replace("_", " ")
            for row, arm in enumerate(arms):
                _draw_difference(axis, comparison.baseline, arm, task, metric, row)
            axis.axvline(0.0, color=FAINT, linewidth=1.2)
            axis.set_yticks(range(len(arms)), [_narrow(arm.name) if position % 2 == 0 else "" for arm in arms])
            axis.set_ylim(len(arms) - 0.4, -0.6)
            axis.margins(x=0.1)
            axis.grid(axis="y", visible=False)
            axis.set_title(wrapped(title), fontsize="medium")
            axis.set_xlabel(_difference_label(comparison, task, metric))
    return figure


def arm_curve(arm: ArmResult, task: str, metric: str) -> dict[float, Estimate]:
    """Return the mean over the arm's seeds with its interval at each epoch that any of them reached."""
    epochs: dict[float, list[float]] = {}
    bounds = next((run.bounds(task, metric) for run in arm.runs.values()), None)
    for run in arm.runs.values():
        for epoch, value in run.curve("validation", task, metric).items():
            epochs.setdefault(epoch, []).append(value)
    estimates = {epoch: mean_interval(values) for epoch, values in sorted(epochs.items())}
    return {epoch: within(estimate, bounds) for epoch, estimate in estimates.items() if estimate is not None}


def _apart(comparison: Comparison) -> dict[tuple[str, str], list[str]]:
    """Return (task, metric) to draw, each with the metrics of its task that have the same numbers in every run."""
    drawn: dict[tuple[str, str], list[str]] = {}
    for task, metric in metrics(comparison):
        if not any(_difference(arm, task, metric) for arm in comparison.arms[1:]):
            continue
        values = _values(comparison, task, metric)
        known = (key for key in drawn if key[0] == task and same(values, _values(comparison, *key)))
        drawn.setdefault(next(known, (task, metric)), []).append(metric)
    return drawn


def _values(comparison: Comparison, task: str, metric: str) -> dict[tuple[str, int], float | None]:
    cells = ((arm.name, _cell(arm, task, metric)) for arm in comparison.arms)
    return {(arm, seed): value for arm, cell in cells if cell for seed, value in cell.values.items()}


def _narrow(arm: str) -> str:
    """Return an arm's name for a narrow place: a line per override, of its key the last two parts."""
    parts = (part.partition("=") for part in arm.split(" "))
    return "\n".join(f"{short(key)}{equals}{value}" for key, equals, value in parts)


def _draw_curve(axis: Axes, estimates: dict[float, Estimate], position: int, label: str) -> None:
    epochs = list(estimates)
    marker = "o" if len(epochs) < 4 else ""
    axis.plot(epochs, [e.mean for e in estimates.values()], color=colour(position), linestyle=line(position),
              marker=marker, label=label)  # fmt: skip
    banded = [(epoch, e.low, e.high) for epoch, e in estimates.items() if e.low is not None and e.high is not None]
    if banded:
        at, low, high = zip(*banded, strict=True)
        axis.fill_between(at, low, high, color=colour(position), alpha=0.18, linewidth=0)


def _draw_difference(axis: Axes, baseline: ArmResult, arm: ArmResult, task: str, metric: str, row: int) -> None:
    cell, base = _cell(arm, task, metric), _cell(baseline, task, metric)
    if cell is None or base is None or cell.shown_difference is None:
        return
    difference, shade = (
        cell.shown_difference,
        colour(row + 1),
    )  # the arm's colour in the curves: the baseline has the first
    pairs = [
        value - reference
        for seed, value in cell.values.items()
        if value is not None and (reference := base.values.get(seed)) is not None
    ]
    axis.plot(pairs, [row + 0.2] * len(pairs), "|", color=shade, alpha=0.7, markersize=7)
    if difference.low is not None and difference.high is not None:
        axis.plot([difference.low, difference.high], [row, row], color=shade, linewidth=2.4, solid_capstyle="round")
    axis.plot([difference.mean], [row], "o", color=shade, markersize=7)


def _difference_label(comparison: Comparison, task: str, metric: str) -> str:
    cells: Sequence[Cell | None] = [_cell(arm, task, metric) for arm in comparison.arms]
    direction = next((cell.direction for cell in cells if cell and cell.direction), None)
    better = {"max": "right is better", "min": "left is better"}.get(direction or "", "")
    return "difference" + (f" ({better})" if better else "")


def _difference(arm: ArmResult, task: str, metric: str) -> bool:
    cell = _cell(arm, task, metric)
    return cell is not None and cell.difference is not None


def _cell(arm: ArmResult, task: str, metric: str) -> Cell | None:
    return arm.tasks.get(task, {}).get(metric)
