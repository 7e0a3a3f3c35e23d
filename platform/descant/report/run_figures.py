"""Figures of one run: losses, metrics and weights of its tasks over the epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from descant.report.drawing import FAINT, colour, drawing, epoch_axis, panels
from descant.report.run_folder import Curve, RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def task_figures(run: RunRecord) -> dict[str, Figure]:
    """Return one figure per task, the main task's first: its loss on both splits and a panel per metric."""
    figures = {}
    for task in run.tasks:
        metrics = [name for name in run.names("validation", task) if name != "loss"]
        train, validation = run.curve("train", task, "loss"), run.curve("validation", task, "loss")
        if not (train or validation or metrics):
            continue
        with drawing():
            figure, axes = panels(1 + len(metrics))
            _loss_panel(axes[0], train, validation, _best_epoch(run))
            for axis, metric in zip(axes[1:], metrics, strict=True):
                _metric_panel(axis, run, task, metric)
        figures[task] = figure
    return figures


def weights_figure(run: RunRecord) -> Figure | None:
    """Return each task's loss weight over the epochs; None when no weight was recorded."""
    curves = {task: curve for task in run.tasks if (curve := run.curve("train", task, "weight"))}
    if not curves:
        return None
    with drawing():
        figure, (axis,) = panels(1, columns=1, height_in=2.4)
        for position, (task, curve) in enumerate(curves.items()):
            axis.plot(list(curve), list(curve.values()), color=colour(position), label=task, marker=_marker(curve))
        axis.set_title("weight of each task's loss")
        axis.set_ylabel("weight (mean per epoch)")
        axis.set_ylim(bottom=min(0.0, *(value for curve in curves.values() for value in curve.values())))
        epoch_axis(axis)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _loss_panel(axis: Axes, train: Curve, validation: Curve, best: float | None) -> None:
    for position, (split, curve) in enumerate((("train", train), ("validation", validation))):
        if curve:
            axis.plot(list(curve), list(curve.values()), color=colour(position), label=split, marker=_marker(curve))
    _mark_best(axis, best)
    axis.set_title("loss")
    axis.set_ylabel("loss per sample")
    epoch_axis(axis)
    axis.legend()


def _metric_panel(axis: Axes, run: RunRecord, task: str, metric: str) -> None:
    curve = run.curve("validation", task, metric)
    axis.plot(list(curve), list(curve.values()), color=colour(1), marker=_marker(curve))
    _mark_best(axis, _best_epoch(run))
    axis.set_title(metric)
    better = {"max": "higher is better", "min": "lower is better"}.get(run.direction(task, metric) or "", "")
    axis.set_ylabel(f"{metric} on validation" + (f"\n({better})" if better else ""))
    epoch_axis(axis)


def _best_epoch(run: RunRecord) -> float | None:
    epoch = (run.summary.get("main") or {}).get("epoch")
    return None if epoch is None else float(epoch)


def _mark_best(axis: Axes, epoch: float | None) -> None:
    if epoch is not None:
        axis.axvline(epoch, color=FAINT, linewidth=1.0, linestyle=(0, (4, 3)))


def _marker(curve: Curve) -> str:
    """Show the points of a curve so short that its line alone would say little."""
    return "o" if len(curve) < 4 else ""
