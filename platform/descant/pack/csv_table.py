"""Reads a table of text: its columns, and which labels they are."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from descant.data.description import Field
from descant.errors import UserError, nearest
from descant.pack.folder import sorted_classes

KINDS = ("class", "number", "none")
_DELIMITERS = ",;\t"
_MISSING_NUMBERS = ("", "nan", "na", "null", "none")
_LONGEST_CELL = 2**24
_MOST_CLASSES = 1_000  # and each twice on average: other text is no class, but a title or a name


@dataclass(frozen=True, slots=True)
class Row:
    """A row: column → text, and the number of its last line."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table's columns and rows."""

    columns: tuple[str, ...]
    rows: list[Row]

    def texts(self, column: str) -> list[str]:
        """Return a column without its empty cells."""
        return [row.cells[column] for row in self.rows if row.cells[column]]


@dataclass(frozen=True)
class Label:
    """What a column means: one of ``classes``, or a number where there are none."""

    name: str
    classes: tuple[str, ...] = ()

    def field(self) -> Field:
        """Return the label's description."""
        return Field("class", classes=self.classes) if self.classes else Field("number")

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.classes)}

    def value(self, cell: str) -> int | float | None:
        """Return a cell's value, None where it is empty; a ValueError says what is wrong with it."""
        if self.classes:
            return self._numbers[cell] if cell else None
        if cell.lower() in _MISSING_NUMBERS:
            return None
        number = _number(cell)
        if number is None:
            raise ValueError(f"its {self.name} is {cell!r}, which is no number")
        return number


def read_table(path: Path) -> Table:
    """Return a table of comma, semicolon or tab separated text with one header row.

    Raises:
        UserError: it cannot be read, has no rows, or names a column twice.
    """
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(_DELIMITERS, key=head.count))
            columns = tuple(name.strip() for name in next(reader, []))
            numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read: {error.strerror}; give a csv file") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{str(path)!r} is no table of UTF-8 text: {error}") from error
    if not numbered:
        raise UserError(f"{str(path)!r} has no rows below its header")
    if len(set(columns)) != len(columns) or not all(columns):
        raise UserError(f"the columns of {str(path)!r} must have names that differ; they are {', '.join(columns)}")
    for line, row in numbered:
        if len(row) != len(columns):
            raise UserError(
                f"line {line} of {str(path)!r} has {len(row)} cells, its header {len(columns)}: mend the line"
            )
    return Table(columns, [Row(line, dict(zip(columns, row, strict=True))) for line, row in numbered])


def find_column(table: Table, given: str | None, usual: Sequence[str]) -> str | None:
    """Return the column that was named, else the one with a usual name, else None; UserError if there is none such."""
    if given is not None and given not in table.columns:
        raise UserError(f"the table has no column {given!r}: {nearest(given, table.columns)}")
    return given or next((column for column in table.columns if column.lower() in usual), None)


def parse_kinds(given: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    """Return column → kind of what users write as NAME=class, NAME=number or NAME=none."""
    kinds: dict[str, str] = {}
    for entry in given:
        name, _, kind = entry.rpartition("=")
        if kind not in KINDS:
            raise UserError(
                f"the label {entry!r} has no kind: write NAME=class, NAME=number, or NAME=none to leave it out"
            )
        if name not in columns:
            raise UserError(f"the table has no column {name!r} for a label: {nearest(name, columns)}")
        kinds[name] = kind
    return kinds


def find_labels(table: Table, columns: Sequence[str], kinds: Mapping[str, str]) -> tuple[list[Label], dict[str, str]]:
    """Return the labels among ``columns``, and the columns that are none with the reasons.

    Numbers are numbers, few different texts classes; ``kinds`` says otherwise.
    """
    labels: list[Label] = []
    ignored: dict[str, str] = {}
    for column in columns:
        cells = table.texts(column)
        kind = kinds.get(column) or _guess(cells)
        if not cells:
            ignored[column] = "empty"
        elif kind == "number":
            labels.append(Label(column))
        elif kind == "class":
            labels.append(Label(column, sorted_classes(cells)))
        else:
            ignored[column] = "asked for" if column in kinds else f"{len(set(cells))} different texts"
    return labels, ignored


def _guess(cells: Sequence[str]) -> str:
    if all(cell.lower() in _MISSING_NUMBERS or _number(cell) is not None for cell in cells):
        return "number"
    different = len(set(cells))
    return "class" if different <= min(_MOST_CLASSES, len(cells) // 2) else "text"


def _number(cell: str) -> float | int | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and cell.lstrip("+-").isdecimal() else number
