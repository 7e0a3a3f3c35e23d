"""What a folder of shards holds, found out from the shards: for data sets that another program wrote."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from descant.data.description import Description, Field, Split, fingerprint
from descant.data.folder import Folder, open_folder
from descant.data.index import ShardIndex
from descant.data.splits import NAMES
from descant.errors import UserError

_NEARLY_ALL = 0.99  # of a label's values are of its kind
_DEEPEST = 8  # lists within lists that may still be one number label
KINDS = {
    **dict.fromkeys(("flac", "wav", "mp3", "ogg"), "audio"),
    **dict.fromkeys(("jpg", "jpeg", "png"), "image"),
    "npy": "array",
    "txt": "text",
}
LABELS = ("json", "cls")  # extensions of the members that hold labels
MAX_CLASSES = 100_000  # integers beyond it are numbers (identities, times), not classes


def infer(place: str | Path | Folder, without: Collection[str] = ()) -> Description:
    """Return the description of a folder of shards without ``dataset.json``, ``without`` some of its splits.

    Splits go by the shards' names (``train-…``, ``validation-…`` or ``val-…``, ``test-…``; all shards train where none
    is called so), inputs by the members' extensions, labels by the values in the samples' json.

    Raises:
        UserError: there is no shard, or one of another name beside shards of splits.
    """
    folder = open_folder(place)
    shards = folder.shards()
    if not shards:
        raise UserError(
            f"there is no data set in {folder.place!r}, neither dataset.json nor shards such as train-000000.tar: "
            f"make one with 'descant pack', or try 'descant data demo'"
        )
    indexes: dict[str, list[ShardIndex]] = {}
    split_of = _splits(shards, folder.place)
    for index in folder.indexes([shard for shard in shards if split_of[shard] not in without]):
        indexes.setdefault(split_of[index.path.name], []).append(index)
    labels = dict(sorted(_gathered(folder, indexes).items()))
    fields = {**_inputs([index for parts in indexes.values() for index in parts])}
    fields |= {name: label.field() for name, label in labels.items()}
    classes = {name: label for name, label in labels.items() if fields[name].classes}
    splits = {split: _described(split, parts, classes) for split, parts in indexes.items()}
    return Description(folder.name, fields, splits, fingerprint(indexes), {"source": "inferred from the shards"})


def _described(split: str, indexes: Sequence[ShardIndex], classes: Mapping[str, _Label]) -> Split:
    counts = {name: label.counts(split) for name, label in classes.items()}
    return Split(sum(len(index.keys) for index in indexes), tuple(index.path.name for index in indexes), counts)


@dataclass
class _Label:
    """What the values of one label are like."""

    values: dict[tuple[str, str], Counter[Any]] = field(default_factory=dict)  # by split and kind
    shapes: dict[str, Counter[tuple[int, ...]]] = field(default_factory=dict)  # by kind
    found: Counter[str] = field(default_factory=Counter)  # kinds

    def add(self, split: str, value: Any) -> None:
        kind = _kind(value)
        self.found[kind] += 1
        if kind in ("number", "points"):
            self.shapes.setdefault(kind, Counter())[_shape(value)] += 1
        elif kind != "other":
            self.values.setdefault((split, kind), Counter())[value] += 1

    @property
    def kinds(self) -> set[str]:
        """The kinds of nearly all values; the few others are bad labels, which a run quarantines."""
        for group in ({"integer", "boolean", "number"}, {"name"}, {"points"}):
            if sum(self.found[kind] for kind in group) >= _NEARLY_ALL * self.found.total():
                return {kind for kind in group if self.found[kind]}
        return set(self.found)

    def field(self) -> Field:
        if self.kinds in ({"integer"}, {"boolean"}, {"name"}):
            return Field("class", classes=self._classes())
        if self.kinds <= {"integer", "boolean", "number"}:
            return Field("number", shape=self._shape("number") or ())
        shape = self._shape("points") if self.kinds == {"points"} else None
        return Field("text") if shape is None else Field("points", shape=shape)

    def counts(self, split: str) -> list[int]:
        found = sum((self.values.get((split, kind), Counter()) for kind in self.kinds), Counter[Any]())
        if self.kinds == {"name"}:
            return [found[name] for name in self._classes()]
        return [found[index] for index in range(len(self._classes()))]

    def _shape(self, kind: str) -> tuple[int, ...] | None:
        shapes = self.shapes.get(kind, Counter())
        return next(iter(shapes)) if len(shapes) == 1 else None

    def _classes(self) -> tuple[str, ...]:
        known = {value for (_, kind), values in self.values.items() if kind in self.kinds for value in values}
        if self.kinds == {"name"}:
            return tuple(sorted(known))
        return ("no", "yes") if self.kinds == {"boolean"} else tuple(map(str, range(max(known) + 1)))


def _gathered(folder: Folder, indexes: Mapping[str, Sequence[ShardIndex]]) -> dict[str, _Label]:
    """Return what the values of each label are like, over all samples of all splits."""
    labels: dict[str, _Label] = {}
    for split, parts in indexes.items():
        for sample in _labels(folder, parts):
            for name, value in sample.items():
                if value is not None:
                    labels.setdefault(name, _Label()).add(split, value)
    return labels


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) and 0 <= value < MAX_CLASSES:
        return "integer"
    if isinstance(value, str):
        return "name"
    if not _is_numeric(value):
        return "other"
    points = isinstance(value, list) and value and all(isinstance(point, list) and len(point) == 2 for point in value)
    return "points" if points else "number"


def _is_numeric(value: Any, depth: int = 0) -> bool:
    if isinstance(value, list):
        return depth < _DEEPEST and all(_is_numeric(inner, depth + 1) for inner in value)
    return isinstance(value, int | float) and math.isfinite(value)


def _shape(value: Any) -> tuple[int, ...]:
    return (len(value), *_shape(value[0])) if isinstance(value, list) and value else ()


def _splits(shards: Sequence[str], place: str) -> dict[str, str]:
    """Return the split of each shard by its name."""
    known = {shard: NAMES.get(re.split("[-._]", shard)[0].lower()) for shard in shards}
    if not any(known.values()):
        return dict.fromkeys(shards, "train")
    unknown = [shard for shard, split in known.items() if split is None]
    if unknown:
        raise UserError(
            f"the names of the shards in {place!r} begin with those of splits, but {unknown[0]!r} does not "
            f"({len(unknown)} in all): begin it with one of {', '.join(NAMES)}, move it out of the folder, or write a "
            f"dataset.json that says to which split it belongs"
        )
    return {shard: split for shard, split in known.items() if split is not None}


def _inputs(indexes: Sequence[ShardIndex]) -> Mapping[str, Field]:
    """Return a field for each kind of member, named after it; for each extension where a sample has two of a kind."""
    found: dict[str, list[str]] = {}
    for extension in sorted({extension for index in indexes for extension in index.offsets}):
        if extension in KINDS:
            found.setdefault(KINDS[extension], []).append(extension)
    fields = {}
    for kind, extensions in found.items():
        if len(extensions) == 1:
            fields[kind] = Field(kind, extensions[0])
        elif any(_together(index, extensions) for index in indexes):
            fields |= {extension: Field(kind, extension) for extension in extensions}
        else:
            fields[kind] = Field(kind, tuple(extensions))
    return fields


def _together(index: ShardIndex, extensions: Sequence[str]) -> bool:
    """Return whether a sample of a shard has members of two of the extensions."""
    there = [index.offsets[extension] >= 0 for extension in extensions if extension in index.offsets]
    return bool(there) and bool((np.sum(there, axis=0) > 1).any())


def _labels(folder: Folder, indexes: Iterable[ShardIndex]) -> Iterator[dict[str, Any]]:
    for index in indexes:
        if index.offsets.keys().isdisjoint(LABELS):
            continue
        shard = folder.open_shard(index)
        try:
            for extension in LABELS:
                if extension not in index.offsets:
                    continue
                for offset, size in zip(index.offsets[extension], index.sizes[extension], strict=True):
                    if offset >= 0:
                        yield _parse(extension, os.pread(shard.descriptor, int(size), int(offset)))
        finally:
            shard.close()


def _parse(extension: str, data: bytes) -> dict[str, Any]:
    """Return a member's labels; what cannot be parsed is left to the reader, which names the sample."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    if extension == "cls":
        return {"cls": value}
    return value if isinstance(value, dict) else {}
