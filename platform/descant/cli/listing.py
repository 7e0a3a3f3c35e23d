"""Lists of what there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def print_listing(rows: Iterable[Sequence[str | None]]) -> None:
    """Print rows in columns, one line each; of the last column only the first line."""
    table = [[*row[:-1], (row[-1] or "").strip().splitlines()[0] if row[-1] else ""] for row in rows]
    if not table:
        return
    widths = [max(len(row[column] or "") for row in table) for column in range(len(table[0]) - 1)]
    for row in table:
        cells = [f"{cell or '':<{width}}" for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[-1] or ""]).rstrip())
