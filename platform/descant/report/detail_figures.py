"""Figures of what metrics are made of, at the best epoch: bars of each class, attribute or point, and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from descant.report.drawing import FAINT, INK, colour, drawing, panels, wrapped
from descant.report.numbers import number, same
from descant.report.run_folder import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 40
_BAR_IN, _FRAME_IN, _CURVE_IN = 0.2, 0.8, 2.7  # heights of a bar, of what is around bars, of the lowest curve
_TALL = 12  # bars, from which three panels stand side by side
_LONGEST_NAME = 24
Values = Mapping[str, float | None]


def detail_split(run: RunRecord) -> str:
    """Return the split whose details are shown: the test split where the run has come to it."""
    return next((split for split in ("test", "validation") if run.details.get(split)), "")


def detail_figures(run: RunRecord) -> dict[str, Figure]:
    """Return a figure for each task whose metrics have details that can be drawn; see ``left_out``."""
    figures = {}
    for task, shown in _shown(run).items():
        with drawing():
            bars = [0 if is_curve(run, task, names[0]) else len(values) for names, values in shown]
            height_in = max(_BAR_IN * max(bars) + _FRAME_IN, 0.0 if all(bars) else _CURVE_IN)
            columns = 3 if max(bars) > _TALL and len(shown) > 2 else 2
            figure, axes = panels(len(shown), columns, height_in)
            figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr, call-arg]
            for place, (axis, (names, values)) in enumerate(zip(axes, shown, strict=True)):
                (_draw_curve if is_curve(run, task, names[0]) else _draw_bars)(axis, run, task, names[0], values)
                axis.set_title(wrapped(" = ".join(names)))
                if place % columns and bars[place] and [*shown[place - 1][1]] == [*values]:
                    axis.tick_params(labelleft=False)  # the panel at its left has the same names
        figures[task] = figure
    return figures


def left_out(run: RunRecord) -> dict[str, int]:
    """Return, by task, how many classes or attributes have no bars since they are too many."""
    many = {}
    for task, metrics in (run.details.get(detail_split(run)) or {}).items():
        counts = [len(values) for metric, values in metrics.items() if not is_curve(run, task, metric)]
        if counts and max(counts) > MOST_BARS:
            many[task] = max(counts)
    return many


def is_curve(run: RunRecord, task: str, metric: str) -> bool:
    """Return whether a metric's details are a curve, whose names are numbers."""
    return metric in ((run.details.get("along") or {}).get(task) or {})


def _shown(run: RunRecord) -> dict[str, list[tuple[list[str], Values]]]:
    """Return by task its metrics with details to draw; those of the same numbers together."""
    found: dict[str, list[tuple[list[str], Values]]] = {}
    details = run.details.get(detail_split(run)) or {}
    for task in filter(details.__contains__, run.tasks):
        groups: list[tuple[list[str], Values]] = []
        for metric, values in details[task].items():
            told = [value for value in values.values() if value is not None]
            if not told or (len(values) > MOST_BARS and not is_curve(run, task, metric)):
                continue
            alike = next((names for names, other in groups if same(values, other)), None)
            if alike is None:
                groups.append(([metric], values))
            else:
                alike.append(metric)
        if groups:
            found[task] = groups
    return found


def _draw_bars(axis: Axes, run: RunRecord, task: str, metric: str, values: Values) -> None:
    """Draw a bar for each name, in order from above, its number at its end, and the metric's own value as a line."""
    heights = [math.nan if value is None else value for value in values.values()]
    axis.barh(range(len(heights)), heights, height=0.7, color=colour(0))
    low, high = run.bounds(task, metric) or (min(0.0, *filter(math.isfinite, heights)), math.inf)
    top = high if math.isfinite(high) else 1.05 * max(filter(math.isfinite, heights))
    axis.set_xlim(low, top if top > low else low + 1.0)
    for place, value in enumerate(values.values()):
        axis.annotate(number(value, decimals=3), (1.0, place), xycoords=("axes fraction", "data"), xytext=(4, 0),
                      textcoords="offset points", va="center", fontsize=8, color=INK)  # fmt: skip
    axis.set_yticks(range(len(heights)), [_short(name) for name in values], fontsize=8)
    axis.set_ylim(len(heights) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    whole = (run.tasks[task].get("test" if detail_split(run) == "test" else "best") or {}).get(metric)
    if whole is not None:
        axis.axvline(float(whole), color=FAINT, linewidth=1.2, linestyle=(0, (4, 3)))


def _draw_curve(axis: Axes, run: RunRecord, task: str, metric: str, values: Values) -> None:
    """Draw the curve of each split."""
    for place, split in enumerate(("test", "validation")):
        curve: Values = ((run.details.get(split) or {}).get(task) or {}).get(metric) or {}
        points = [(float(name), value) for name, value in curve.items() if value is not None]
        if points:
            axis.plot(*zip(*points, strict=True), color=colour(place), label=split)
    axis.set_xlim(0.0, max(map(float, values)))
    low, high = run.bounds(task, metric) or (None, None)
    axis.set_ylim(low, None if high is None or not math.isfinite(high) else high + 0.02 * (high - (low or 0.0)))
    axis.set_xlabel(run.details["along"][task][metric])
    axis.legend()


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
