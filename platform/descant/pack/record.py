"""What a format says of its source: which samples there are to be, and how each is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from descant.data.description import Field
from descant.errors import UserError
from descant.pack.files import StoredFile

LeftOut = dict[str, str]
"""The ``key`` and the ``reason`` of what is not in the data set."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One sample to be: key, split, where its content lies, the source's labels, and what else its making needs."""

    key: str
    split: str
    files: tuple[StoredFile, ...]
    labels: Mapping[str, Any]
    detail: Any = None

    def read(self) -> bytes:
        """Return the content of the record's only file; a ValueError says why there is none."""
        (file,) = self.files
        return file.read()


@dataclass(frozen=True, slots=True)
class PackedSample:
    """A finished sample: extension → bytes, its labels, and the length of its audio in seconds."""

    members: Mapping[str, bytes]
    labels: Mapping[str, Any]
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be packed.

    Attributes:
        fields: the data set's inputs and labels.
        records: its samples to be, in the order in which they are stored; their keys differ.
        encode: makes a sample of a record; a ValueError says in plain words why the record is left out. It runs in
            other processes, so it must be a function that pickles.
        left_out: what the source lists and cannot be packed.
        provenance: what else ``dataset.json`` should say.
        batch: records that a process takes at once: more where each is little work.
    """

    fields: Mapping[str, Field]
    records: Sequence[RawRecord]
    encode: Callable[[RawRecord], PackedSample]
    left_out: Sequence[LeftOut] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 1


@dataclass(frozen=True)
class Format(ABC):
    """A layout of raw data: a frozen dataclass whose fields are the options that its users have."""

    name: ClassVar[str]

    @abstractmethod
    def plan(self, source: Path, seed: int, scratch: Path) -> Plan:
        """Return what is to be packed.

        Args:
            source: what the user gave.
            seed: of what is drawn.
            scratch: an empty folder for what has to be unzipped; it lasts until everything is packed.

        Raises:
            UserError: the source is not of this format.
        """

    def options(self) -> dict[str, Any]:
        """Return the options by name, for the provenance; without paths, which say nothing elsewhere."""
        return {option.name: getattr(self, option.name) for option in fields(self) if "Path" not in str(option.type)}


def joined(inputs: Mapping[str, Field], labels: Mapping[str, Field]) -> dict[str, Field]:
    """Return inputs and labels together; a UserError where a label that users name is called as an input."""
    for name in labels:
        if name in inputs:
            raise UserError(f"the label {name!r} is called as the input of the samples is: give it another name")
    return {**inputs, **labels}
