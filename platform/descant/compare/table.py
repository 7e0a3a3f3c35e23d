"""A comparison as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from descant.compare.results import Comparison
from descant.compare.rows import cost_sections, heads, metric_sections
from descant.compare.sentences import findings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLOURS = {"better": "green", "worse": "red"}
NARROW = 110  # columns of a terminal; below, the table leaves n and p to --json and the report
PIPE_WIDTH = 200  # columns of a line where there is no terminal to fit: tables must not be folded


def stdout() -> Console:
    """Return a console for the results: as wide as the terminal, wide enough for every table in a pipe."""
    import sys

    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print a table of all metrics and costs, then in sentences what the main metric shows."""
    console.print(_table(comparison, narrow=console.width < NARROW))
    console.print("mean and difference with their 95 % intervals over seeds, paired by seed", style="dim")
    for sentence in findings(comparison):
        console.print(sentence, markup=False, soft_wrap=True)


def _table(comparison: Comparison, narrow: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = [0, 2, 3, 5] if narrow else range(6)
    names = heads(comparison)
    sections = [*metric_sections(comparison), *cost_sections(comparison)]
    for column in shown:
        number = 0 < column < 5
        justify: Literal["right", "left"] = "right" if number else "left"
        table.add_column(Text(names[column]), justify=justify, no_wrap=number and not narrow, overflow="fold")
    table.columns[0].min_width = max(len(word) for section in sections for word in section.title.split())
    table.columns[-1].min_width = len("difference")  # the longest word of a verdict
    for section in sections:
        table.add_row(Text(section.title, "cyan"))
        for row in section.rows:
            texts = [
                Text(f"  {row.texts[0]}"),
                *map(Text, row.texts[1:]),
                Text(row.verdict, COLOURS.get(row.verdict, "")),
            ]
            table.add_row(*(texts[column] for column in shown))
    return table
