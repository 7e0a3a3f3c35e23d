"""``descant pack csv``: audio files or pictures that a table lists, with any labels, into shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from descant.errors import UserError
from descant.pack.csv_table import Label, Row, Table, find_column, find_labels, parse_kinds, read_table
from descant.pack.files import StoredFile
from descant.pack.folder import encode_file
from descant.pack.keys import KeyMaker, key_of
from descant.pack.media import MediaFormat, extension_of
from descant.pack.packing import packer
from descant.pack.record import LeftOut, Plan, RawRecord, joined
from descant.pack.splits import NAMES, stratified

_PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "audio", "clip", "picture")
_SPLITS = ("split",)


@dataclass(frozen=True)
class Csv(MediaFormat):
    """A csv file with a column of paths, and columns of labels.

    Columns of numbers become labels of the kind number, columns of few different texts (at most 1,000, each twice on
    average) labels of the kind class; other columns are named in the provenance under ``ignored``. An empty cell
    means that the sample does not teach that label.

    Attributes:
        root: the folder that the paths start from; that of the table if None.
        path_column: of paths; found by its name (path, file, filename, image, audio …) if None.
        split_column: of splits (train, validation or test); the one called split, if there is one, if None.
            Without one a seeded 70/10/20 is drawn, within each class of the first label of that kind.
        label: NAME=class, NAME=number, or NAME=none for a column that is no label.
    """

    root: Path | None = None
    path_column: str | None = None
    split_column: str | None = None
    label: Sequence[str] | None = None
    name: ClassVar[str] = "csv"

    def plan(self, source: Path, seed: int, scratch: Path) -> Plan:
        """Read the table; a UserError when a column is missing or what a name says cannot be."""
        table = read_table(source)
        path = find_column(table, self.path_column, _PATHS)
        if path is None:
            raise UserError(
                f"none of the columns {', '.join(table.columns)} is called path: "
                f"name the one of paths with --path-column"
            )
        split = find_column(table, self.split_column, _SPLITS)
        media, known = self.media(row.cells[path] for row in table.rows)
        places = _Places(path, split, self.root or source.parent, known)
        usable, left_out = places.sort_out(table)
        if not usable.rows:
            raise UserError(f"no row of {str(source)!r} can be packed; {left_out[0]['key']}: {left_out[0]['reason']}")
        columns = [column for column in table.columns if column not in (path, split)]
        labels, ignored = find_labels(usable, columns, parse_kinds(self.label or (), columns))
        if not labels:
            raise UserError(
                f"no column of {str(source)!r} is a label: say which with --label NAME=class or NAME=number"
            )
        records, wrong = places.records(usable, labels, seed)
        fields = joined(media.fields(), {label.name: label.field() for label in labels})
        return Plan(fields, records, partial(encode_file, media), [*left_out, *wrong], {"ignored": ignored})


@dataclass(frozen=True)
class _Places:
    """Where the rows of a table say that their files and splits are."""

    path: str
    split: str | None
    root: Path
    known: frozenset[str]

    def sort_out(self, table: Table) -> tuple[Table, list[LeftOut]]:
        """Return the rows that can be packed, as far as that is known without reading their files, and the others."""
        rows: list[Row] = []
        left_out: list[LeftOut] = []
        for row in table.rows:
            reason = self._fault(row.cells)
            if reason:
                left_out.append(_left_out(row, row.cells[self.path], reason))
            else:
                rows.append(row)
        return Table(table.columns, rows), left_out

    def records(self, table: Table, labels: Sequence[Label], seed: int) -> tuple[list[RawRecord], list[LeftOut]]:
        """Return the records in the order of the rows, and the rows whose labels are wrong."""
        keys = KeyMaker()
        records: list[RawRecord] = []
        left_out: list[LeftOut] = []
        for row, split in zip(table.rows, self._splits(table, labels, seed), strict=True):
            path = row.cells[self.path]
            try:
                values = {label.name: label.value(row.cells[label.name]) for label in labels}
            except ValueError as error:
                left_out.append(_left_out(row, path, str(error)))
                continue
            records.append(RawRecord(keys.unused(_key(path)), split, (StoredFile(self.root / path),), values))
        return records, left_out

    def _fault(self, cells: Mapping[str, str]) -> str:
        path = cells[self.path]
        if not path:
            return "it has no path"
        if extension_of(path) not in self.known:
            return f"its extension is none of {', '.join(sorted(self.known))}"
        try:
            if not (self.root / path).is_file():
                return "there is no such file"
        except OSError as error:  # such as a name longer than names may be, or a folder that is closed to us
            return f"the file cannot be read: {error.strerror}"
        if self.split is not None and cells[self.split].lower() not in NAMES:
            return f"its {self.split} is {cells[self.split]!r}, allowed are train, validation and test"
        return ""

    def _splits(self, table: Table, labels: Sequence[Label], seed: int) -> list[str]:
        if self.split is not None:
            return [NAMES[row.cells[self.split].lower()] for row in table.rows]
        first = next((label.name for label in labels if label.classes), None)
        return stratified([row.cells[first] if first else "" for row in table.rows], seed)


def _left_out(row: Row, path: str, reason: str) -> LeftOut:
    return {"key": f"line {row.line}", "reason": f"{path}: {reason}" if path else reason}


def _key(path: str) -> str:
    """Return the key of a path, in which a root, a drive or a step upwards has no place."""
    parts = path.replace("\\", "/").split("/")
    return key_of("/".join(part for part in parts if part not in ("", ".", "..") and not part.endswith(":")))


pack_csv = packer(Csv)
