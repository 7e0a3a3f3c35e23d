"""``descant top [FOLDER]``."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, ConsoleDimensions
    from rich.table import Table

    from descant.watch import Overview, RunState

HELP = "the runs under a folder and how they stand, live on a terminal"
_COLUMNS = (
    "run",
    "status",
    "epoch",
    "step",
    "metric",
    "loss",
    "samples/s",
    "data wait",
    "workers",
    "restarts",
    "changed",
)
_LESS_TELLING = ("changed", "workers", "epoch", "loss", "data wait", "samples/s", "restarts")
"""What a narrow terminal leaves out, the first of them first."""
_LEFT = ("run", "status", "metric")
_COLOURS = {"running": "green", "failed": "red", "dead": "red", "silent": "yellow", "interrupted": "yellow"}
_ROWS_OF_FRAME = 4  # of the terminal, taken by headings and the last line


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "folder", nargs="?", default="runs", metavar="FOLDER", help="where the runs are (default: runs)"
    )
    parser.add_argument("--interval", type=float, default=2.0, metavar="S", help="seconds between looks (default: 2)")
    parser.add_argument("--once", action="store_true", help="print one table, as in a pipe, and end")
    parser.add_argument("--json", action="store_true", help="print the runs as one JSON array, and end")


def main(args: argparse.Namespace) -> int:
    """Show the table: again and again on a terminal until Ctrl-C, once elsewhere."""
    from pathlib import Path

    from rich.console import Console

    from descant.errors import UserError
    from descant.watch import Overview

    folder = Path(args.folder)
    if not folder.is_dir():
        raise UserError(f"there is no folder {str(folder)!r}: give one that holds runs, as run.dir names it")
    if not args.interval > 0:
        raise UserError(f"--interval is {args.interval:g}: give seconds above 0")
    overview = Overview(folder)
    if args.json:
        _print_json(overview.look())
        return 0
    console = Console()
    if args.once or not console.is_terminal:
        _print_plain(overview.look(), folder)
        return 0
    with contextlib.suppress(KeyboardInterrupt):  # the way to leave
        _show_live(overview, folder, args.interval, console)
    return 0


def _print_json(states: Sequence[RunState]) -> None:
    import dataclasses
    import json

    print(json.dumps([dataclasses.asdict(state) | {"folder": str(state.folder)} for state in states], indent=2))


def _print_plain(states: Sequence[RunState], folder: Path) -> None:
    from descant.cli.listing import print_listing

    if not states:
        print(f"no runs in {folder}")
        return
    print_listing([_COLUMNS, *(_cells(state) for state in states)])


def _show_live(overview: Overview, folder: Path, interval_s: float, console: Console) -> None:
    from rich.live import Live

    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_table(overview.look(), folder, console.size), refresh=True)
            time.sleep(interval_s)


def _table(states: Sequence[RunState], folder: Path, size: ConsoleDimensions) -> Table:
    """Return the table of as many runs and columns as a terminal has room for, those that run first."""
    from rich.table import Table

    room = max(size.height - _ROWS_OF_FRAME, 1)
    rows = [dict(zip(_COLUMNS, _cells(state), strict=True)) for state in states[:room]]
    columns = _fitting(rows, size.width)
    running = sum(state.status == "running" for state in states)
    hidden = len(states) - room
    more = f", {hidden} more not shown" if hidden > 0 else ""
    table = Table(box=None, pad_edge=False, caption=f"{folder}: {len(states)} runs, {running} running{more}")
    for column in columns:
        table.add_column(column, justify="left" if column in _LEFT else "right", no_wrap=True)
    for state, row in zip(states, rows, strict=False):
        table.add_row(*(row[column] for column in columns), style=_COLOURS.get(state.status))
    return table


def _fitting(rows: Sequence[Mapping[str, str]], width: int) -> list[str]:
    """Return the columns that a terminal is wide enough for."""
    columns, left_out = list(_COLUMNS), list(_LESS_TELLING)
    while left_out and sum(max(len(row[name]) for row in [{name: name}, *rows]) + 2 for name in columns) - 2 > width:
        columns.remove(left_out.pop(0))
    return columns


def _cells(state: RunState) -> list[str]:
    from descant.report.files import shown
    from descant.report.numbers import number

    metric = "" if state.value is None else f"{state.main} {state.metric} {state.value:.4f}"
    steps = "" if state.steps is None else f"/{state.steps}"
    return [
        shown(state.folder),
        state.status,
        _known(state.epoch),
        "" if state.step is None else f"{state.step}{steps}",
        metric,
        "" if state.loss is None else f"{state.loss:.4f}",
        "" if state.samples_s is None else number(state.samples_s),
        "" if state.wait_share is None else f"{100 * state.wait_share:.0f} %",
        _known(state.workers),
        str(state.restarts),
        _age(time.time() - state.changed_s),
    ]


def _known(value: int | None) -> str:
    return "" if value is None else str(value)


def _age(seconds: float) -> str:
    """Return how long ago something was, in one unit."""
    for unit, size_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size_s:
            return f"{seconds / size_s:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"
