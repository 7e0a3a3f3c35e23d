"""A study on the terminal: lines while it goes on, a table at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from descant.compare.table import stdout
from descant.tune.results import Results
from descant.tune.sentences import cells, findings, heads, shown, statuses

if TYPE_CHECKING:
    from rich.table import Table

MOST_ROWS = 25


def print_study(found: Results) -> None:
    """Print the trials from the best on, then in sentences what they show."""
    console = stdout()
    console.print(f"{found.plan.folder.name}: {statuses(found)}", markup=False)
    console.print(_table(found))
    left = len(found.trials) - MOST_ROWS
    if left > 0:
        console.print(f"and {left} more in trials.csv", style="dim")
    for sentence in findings(found):
        console.print(sentence, markup=False, soft_wrap=True)


def _table(found: Results) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, head in enumerate(heads(found)):
        right = 2 <= position < 3 + len(shown(found))
        table.add_column(Text(head), justify="right" if right else "left", overflow="fold")
    for trial in found.trials[:MOST_ROWS]:
        style = "" if trial.counts else "dim"
        table.add_row(*(Text(cell) for cell in cells(found, trial)), style=style)
    return table
