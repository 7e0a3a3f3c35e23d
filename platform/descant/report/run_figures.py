"""Figures of one run: losses and metrics of its tasks over the epochs, and how the training went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from descant.report.drawing import FAINT, colour, drawing, epoch_axis, panels, wrapped
from descant.report.numbers import same
from descant.report.run_folder import Curve, RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COURSE = {  # metric of the training rows that belong to no task -> title and what the axis counts
    "learning_rate": ("learning rate", "at the epoch's start"),
    "gradient_norm": ("norm of the gradient", "before clipping"),
    "throughput_samples_s": ("training speed", "samples per second"),
    "data_wait_share": ("waiting for data", "share of training time"),
}


def task_figures(run: RunRecord) -> dict[str, Figure]:
    """Return one figure per task, the main task's first: its loss on both splits and a panel per metric.

    Metrics whose curves are the same numbers share a panel, whose title names them all.
    """
    figures = {}
    for task in run.tasks:
        train = run.curve("train", task, "loss")
        drawn = _apart({name: run.curve("validation", task, name) for name in ["loss", *run.names("validation", task)]})
        if not (train or any(curve for _, curve in drawn)):
            continue
        with drawing():
            figure, axes = panels(len(drawn))
            for axis, (names, curve) in zip(axes, drawn, strict=True):
                loss = names[0] == "loss"
                _draw(axis, {"train": train if loss else {}, "validation": curve})
                _mark_best(axis, run)
                axis.set_title(wrapped(" = ".join(names)))
                axis.set_ylabel(_better("per sample" if loss else "on validation", run.direction(task, names[0])))
        figures[task] = figure
    return figures


def course_figure(run: RunRecord) -> Figure | None:
    """Return how the training went: learning rate, weights where they vary, speed, waiting for data; None without."""
    curves = {metric: curve for metric in COURSE if (curve := run.curve("train", None, metric))}
    weights = weight_curves(run)
    varies = any(len(set(curve.values())) > 1 for curve in weights.values())
    if not curves and not varies:
        return None
    with drawing():
        figure, axes = panels(len(curves) + varies)
        for axis, (metric, curve) in zip(axes, curves.items(), strict=False):
            title, counts = COURSE[metric]
            _draw(axis, {title: curve})
            _label(axis, title, counts)
        if varies:
            _draw(axes[-1], weights)
            _label(axes[-1], "weights of the tasks' losses", "mean per epoch")
    return figure


def stopping_figure(run: RunRecord) -> Figure | None:
    """Return in which epochs each task trained, and what its stop rule went by; None where no task has a rule."""
    ruled = [name for name in _trained(run) if run.curve("train", name, "active")]
    if not ruled:
        return None
    measures = {task: curve for task in ruled if (curve := run.curve("train", task, "stop_measure"))}
    with drawing():
        figure, axes = panels(1 + len(measures))
        last = max((epoch for task in run.tasks for epoch in run.curve("validation", task, "loss")), default=0.0)
        _draw_timeline(axes[0], run, last)
        for axis, (task, curve) in zip(axes[1:], measures.items(), strict=True):
            _draw(axis, {"measure": curve, "stops above": run.curve("train", task, "stop_threshold")})
            axis.set_xlim(-0.5, last + 0.5)  # a rule may have spoken once
            axis.set_title(wrapped(f"{task}: stop measure"))
    return figure


def _draw_timeline(axis: Axes, run: RunRecord, last: float) -> None:
    names = _trained(run)
    for row, name in enumerate(names):
        spans = [(start, end - start) for start, end in trained_spans(run.curve("train", name, "active"), last + 1)]
        axis.broken_barh(spans, (row - 0.35, 0.7), color=colour(row))
    axis.set_yticks(range(len(names)), [wrapped(name) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_title("epochs in which each task trained")
    epoch_axis(axis)


def _trained(run: RunRecord) -> list[str]:
    """Return the tasks, each followed by its parts that may stop by themselves."""
    parts = {task: described.get("stopped_parts") or {} for task, described in run.tasks.items()}
    return [name for task in run.tasks for name in (task, *(f"{task}.{part}" for part in parts[task]))]


def trained_spans(active: Curve, end: float) -> list[tuple[float, float]]:
    """Return the spans of epochs in which a task trained, from what was decided after each evaluation."""
    spans, start = [], 0.0
    trains = True
    for epoch, goes_on in active.items():
        if trains and not goes_on:
            spans.append((start, epoch + 1))
        elif not trains and goes_on:
            start = epoch + 1
        trains = bool(goes_on)
    return [*spans, (start, end)] if trains and start < end else spans


def weight_curves(run: RunRecord) -> dict[str, Curve]:
    """Return the weight of each task's loss over the epochs, of the tasks for which one was recorded."""
    return {task: curve for task in run.tasks if (curve := run.curve("train", task, "weight"))}


def _apart(curves: dict[str, Curve]) -> list[tuple[list[str], Curve]]:
    """Return the curves with the names of all that are the same numbers."""
    groups: list[tuple[list[str], Curve]] = []
    for name, curve in curves.items():
        names = next((names for names, other in groups if same(curve, other)), None)
        if names is None:
            groups.append(([name], curve))
        else:
            names.append(name)
    return groups


def _draw(axis: Axes, curves: dict[str, Curve]) -> None:
    """Draw curves by name over the epochs, each name in its colour, with a legend where there are several."""
    drawn = {name: curve for name, curve in curves.items() if curve}
    for position, name in enumerate(curves):
        if name in drawn:
            marker = "o" if len(drawn[name]) < 4 else ""  # a line of few points would say little
            axis.plot(list(drawn[name]), list(drawn[name].values()), color=colour(position), label=name, marker=marker)
    epoch_axis(axis)
    if len(drawn) > 1:
        axis.legend()


def _better(counts: str, direction: str | None) -> str:
    better = {"max": "higher is better", "min": "lower is better"}.get(direction or "")
    return f"{counts}\n({better})" if better else counts


def _label(axis: Axes, title: str, counts: str) -> None:
    axis.set_title(title)
    axis.set_ylabel(counts)
    axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))


def _mark_best(axis: Axes, run: RunRecord) -> None:
    epoch = (run.summary.get("main") or {}).get("epoch")
    if epoch is not None:
        axis.axvline(float(epoch), color=FAINT, linewidth=1.0, linestyle=(0, (4, 3)))
