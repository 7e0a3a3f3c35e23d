"""Figures of a study: what mattered, the front of the tasks, the trials' courses, and values over time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from descant.report.drawing import FAINT, colour, drawing, epoch_axis, line, panels, wrapped
from descant.tune.results import Result, Results
from descant.tune.space import Choice, Range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure


def study_figures(found: Results) -> dict[str, Figure]:
    """Return the figures that there is something to draw for, by name."""
    made = {
        "importance": importance_figure(found),
        "values": values_figure(found),
        "front": front_figure(found),
        "courses": courses_figure(found),
        "weights": weights_figure(found),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def importance_figure(found: Results) -> Figure | None:
    """Return each key's share of what made trials differ, a panel for each metric."""
    if not found.importance:
        return None
    keys = len(found.plan.settings.space.keys)
    with drawing():
        figure, axes = panels(len(found.importance), height_in=1.0 + 0.32 * keys)
        for axis, (name, shares) in zip(axes, found.importance.items(), strict=True):
            axis.barh(range(len(shares)), list(shares.values()), color=colour(0), height=0.6)
            axis.set_yticks(range(len(shares)), [wrapped(key) for key in shares])
            axis.invert_yaxis()
            axis.set_xlim(0, 1)
            axis.set_xlabel("share of the ranks' variance")
            axis.set_title(wrapped(name))
    return figure


def values_figure(found: Results) -> Figure | None:
    """Return the first metric over each key's values; None of a population, whose values change."""
    trials = [trial for trial in found.trials if trial.counts]
    if len(trials) < 2 or found.plan.settings.scheduler.is_population:
        return None
    dimensions, objective = found.plan.settings.space.dimensions, found.plan.objectives[0]
    with drawing():
        figure, axes = panels(len(dimensions), height_in=2.5)
        for axis, dimension in zip(axes, dimensions, strict=True):
            for status, position, marker in (("stopped", 1, "x"), ("finished", 0, "o")):
                some = [trial for trial in trials if trial.status == status]
                at = [_place(dimension, trial.params[dimension.key]) for trial in some]
                values = [trial.value(objective) for trial in some]
                axis.plot(at, values, marker, color=colour(position), label=status, alpha=0.8)
            if isinstance(dimension, Choice):
                axis.set_xticks(range(len(dimension.values)), [wrapped(str(value)) for value in dimension.values])
            elif dimension.log:
                axis.set_xscale("log")
                _plain_numbers(axis.xaxis)
            axis.set_title(wrapped(dimension.key))
            axis.set_ylabel(objective.name)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def front_figure(found: Results) -> Figure | None:
    """Return the trials by the first metric against each other one, with the Pareto front joined."""
    across, *others = found.plan.front_of
    trials = [trial for trial in found.trials if trial.counts]
    if not others or not found.front:
        return None
    with drawing():
        figure, axes = panels(len(others), height_in=3.0)
        for axis, other in zip(axes, others, strict=True):
            axis.plot([t.value(across) for t in trials], [t.value(other) for t in trials], "o", color=FAINT, alpha=0.6)
            front = sorted((t for t in trials if t.number in found.front), key=lambda t: t.value(across))
            at, up = [t.value(across) for t in front], [t.value(other) for t in front]
            axis.plot(at, up, "o", color=colour(1), linestyle="dashed" if len(others) == 1 else "none")
            for trial, x, y in zip(front, at, up, strict=True):
                axis.annotate(str(trial.number), (x, y), textcoords="offset points", xytext=(5, 4), fontsize=8)
            axis.set_xlabel(f"{across.name} ({_way(across.direction)})")
            axis.set_title(wrapped(other.name))
            axis.set_ylabel(_way(other.direction))
    return figure


def courses_figure(found: Results) -> Figure | None:
    """Return the first metric of each trial over its epochs."""
    objective = found.plan.objectives[0]
    trials = [trial for trial in found.trials if trial.course and trial.status != "failed"]
    if not trials:
        return None
    with drawing():
        figure, axes = panels(1, height_in=3.2)
        axis = axes[0]
        for position, trial in reversed(list(enumerate(trials))):
            best = position == 0
            axis.plot(
                [each.epochs for each in trial.course],
                [each.of(objective) for each in trial.course],
                color=colour(1) if best else colour(0),
                alpha=1.0 if best else 0.35,
                linewidth=2.4 if best else 1.2,
                marker="o" if len(trial.course) == 1 else "",
                label=f"trial {trial.number}, the best" if best else None,
            )
        axis.set_ylabel(objective.name)
        epoch_axis(axis)
        axis.set_xlabel("epochs trained")
        axis.legend()
    return figure


def weights_figure(found: Results) -> Figure | None:
    """Return each key's values over the epochs: of every member of a population, and of the best one's line."""
    if not any(len(trial.changes) > 1 for trial in found.trials):
        return None
    ranges = [each for each in found.plan.settings.space.dimensions if isinstance(each, Range)]
    if not ranges:
        return None
    with drawing():
        figure, axes = panels(len(ranges), height_in=2.9)
        for axis, dimension in zip(axes, ranges, strict=True):
            for position, trial in enumerate(sorted(found.trials, key=lambda each: each.number)):
                label = f"trial {trial.number}"
                _steps(axis, trial, trial.changes, dimension, colour(position), line(position), 1.4, label)
            if found.best is not None:
                _steps(axis, found.best, found.best.lineage, dimension, "#7a7f87", "solid", 4.0, "the best model's")
            if dimension.log:
                axis.set_yscale("log")
                _plain_numbers(axis.yaxis)
            axis.set_title(wrapped(dimension.key))
            epoch_axis(axis)
            axis.set_xlabel("epochs trained")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=5)
    return figure


def _steps(axis: Axes, trial: Result, changes: object, dimension: Range, shade: str, style: str, width: float,
           label: str) -> None:  # fmt: skip
    """Draw the values that held, each from its epoch to the next change or the trial's end."""
    assert isinstance(changes, tuple)
    at = [float(change["epochs"]) for change in changes]
    values = [float(change["params"][dimension.key]) for change in changes]
    end = max([float(trial.epochs), *at])
    behind = width > 2
    axis.step([*at, end], [*values, values[-1]], where="post", color=shade, linestyle=style, linewidth=width,
              alpha=0.45 if behind else 0.9, zorder=1 if behind else 2, label=label)  # fmt: skip


def _plain_numbers(axis: Axis) -> None:
    """Write powers of ten as 0.01, for the page's text is not set as mathematics."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _place(dimension: Range | Choice, value: object) -> float:
    if isinstance(dimension, Choice):
        return float(dimension.index(value))
    assert isinstance(value, (int, float))
    return float(value) if math.isfinite(value) else math.nan


def _way(direction: str) -> str:
    return "more is better" if direction == "max" else "less is better"
