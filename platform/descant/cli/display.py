"""Progress of a run: a bar on a terminal, plain lines in a pipe; and the table at its end."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from descant.launch.prepare import Run
from descant.report.files import shown
from descant.report.numbers import counted
from descant.run.log import Row

logger = logging.getLogger("descant")


class Display:
    """Shows rows as they come.

    Args:
        main: the main task, whose numbers are shown.
        stopped: tasks that had stopped before the run goes on, and parts of tasks.
    """

    def __init__(self, main: str, stopped: Collection[str] = ()) -> None:
        self._main = main
        self._console = Console()
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("step {task.completed:.0f} of {task.total:.0f}"),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._steps = self._bar.add_task("train", total=0, epoch=0, text="starting")
        self._speed = ""
        self._evaluation: tuple[str, list[Row]] | None = None
        self._active = dict.fromkeys(stopped, 0.0)

    def __enter__(self) -> Display:
        """Start the bar, and show what the program logs."""
        self._bar.start()
        self._handler = logging.StreamHandler()  # made now: on a terminal the bar has put its own stderr in place
        logger.addHandler(self._handler)
        logger.setLevel(logging.INFO)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._print_evaluation()
        logger.removeHandler(self._handler)
        self._bar.stop()

    def row(self, row: Row) -> None:
        """Show one row."""
        task, metric, value = row["task"], row["metric"], row["value"]
        if metric == "steps" and task is None:
            self._bar.update(self._steps, total=value, completed=row["step"])
        elif metric == "throughput_samples_s":
            self._speed = f"{value:.0f} samples/s"
        elif row["split"] == "train" and metric == "loss" and task == self._main:
            text = f"{task} loss {value:.4f}, {self._speed}"
            self._bar.update(self._steps, completed=row["step"], epoch=row["epoch"], text=text)
        elif metric == "active" and value != self._active.get(task, 1.0):
            self._active[task] = value
            self._print_evaluation()
            says = "goes on" if value else "has stopped"
            self._console.print(f"epoch {row['epoch']}: {task} {says}", highlight=False, soft_wrap=True)
        if row["split"] != "train":
            self._collect(row)
        elif self._evaluation is not None:
            self._print_evaluation()

    def _collect(self, row: Row) -> None:
        """Keep the rows of one evaluation together, to be one line."""
        place = f"{'best ' if row['split'] == 'test' else ''}epoch {row['epoch']}: {row['split']}"
        if self._evaluation is not None and self._evaluation[0] != place:
            self._print_evaluation()
        if self._evaluation is None:
            self._evaluation = (place, [])
        self._evaluation[1].append(row)

    def _print_evaluation(self) -> None:
        if self._evaluation is None:
            return
        place, rows = self._evaluation
        self._evaluation = None
        shown: dict[str, list[str]] = {}
        for row in rows:  # each task's loss and first metric; the main task's loss is worth the room
            numbers = shown.setdefault(row["task"], [])
            if len(numbers) < 2:
                numbers.append(f"{row['metric']} {_number(row['value'])}")
        parts = [", ".join(reversed(found)) if task == self._main else found[-1] for task, found in shown.items()]
        text = "; ".join(f"{task} {part}" for task, part in zip(shown, parts, strict=True))
        speed = f"  ({self._speed})" if self._speed and not place.startswith("best") else ""
        self._console.print(f"{place}: {text}{speed}", highlight=False, soft_wrap=True)


def print_result(run: Run) -> None:
    """Print the table of a finished run, and where to look."""
    table = Table(box=None, pad_edge=False)
    for column in ("task", "role", "metric"):
        table.add_column(column, no_wrap=True)
    for column in ("validation", "test", "chance"):
        table.add_column(column, justify="right", no_wrap=True)
    for task, found in run.summary["tasks"].items():
        for metric, value in found["best"].items():
            tested = (found["test"] or {}).get(metric)
            row = (_number(value), _number(tested), _number(found["chance"].get(metric)))
            table.add_row(task, found["role"], metric, *row)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"{run.folder.name}: best epoch {run.summary['main']['epoch']}", highlight=False, soft_wrap=True)
    console.print(table)
    speed = run.summary["throughput_samples_s"]
    console.print(
        f"{run.summary['data']['consumed']} samples in {run.summary['wall_s']:.0f} s ({speed:.0f} samples/s), "
        f"{run.summary['data']['quarantined']} quarantined, resumed {counted(run.summary['resumed'], 'time')}",
        highlight=False,
        soft_wrap=True,
    )
    _print_places(console, run)


def _print_places(console: Console, run: Run) -> None:
    places: Mapping[str, Any] = {
        "report and figures": shown(run.folder / "report.html"),
        "TensorBoard": f"{_command('tensorboard')} --logdir {shown(run.folder.parent)}",
    }
    for what, place in places.items():
        console.print(f"{what}: {place}", highlight=False, soft_wrap=True)


def _command(name: str) -> str:
    """Return a program of this environment as the user's shell finds it."""
    beside = Path(sys.executable).with_name(name)
    return name if shutil.which(name) or not beside.exists() else str(beside)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
