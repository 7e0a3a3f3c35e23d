"""What a data set holds: ``dataset.json``, or what its shards say themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from reprlib import repr as short
from typing import Any

from descant.data.folder import DESCRIPTION as FILE
from descant.data.folder import Folder, checked_name, open_folder
from descant.data.index import ShardIndex
from descant.errors import UserError
from descant.files import write_text

FORMAT = 1
LABEL_KINDS = ("class", "number", "points")


@dataclass(frozen=True)
class Field:
    """One input or label of a data set.

    Attributes:
        kind: audio, image, array or text (inputs); class, number or points (labels).
        extension: of an input's member in the shards; several where each sample has one of them.
        classes: the names of a class label, by index.
        shape: of an array, a number or points, without the sample.
        rate_hz: of audio.
        seconds: the usual length of audio.
        counts: how often each class occurs in the training split, where that was counted.
    """

    kind: str
    extension: str | tuple[str, ...] | None = None
    classes: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    rate_hz: int | None = None
    seconds: float | None = None
    counts: tuple[int, ...] = ()

    @property
    def is_label(self) -> bool:
        """Whether the field is a label in the sample's json."""
        return self.kind in LABEL_KINDS


@dataclass(frozen=True)
class Split:
    """One split: how many samples, in which shards, and how often each class of each label occurs."""

    samples: int
    shards: tuple[str, ...]
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """What a data set holds."""

    name: str
    fields: Mapping[str, Field]
    splits: Mapping[str, Split]
    fingerprint: str
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``dataset.json``."""
        fields = {
            name: {key: value for key, value in asdict(field).items() if value not in (None, ()) and key != "counts"}
            for name, field in self.fields.items()
        }
        splits = {name: asdict(split) for name, split in self.splits.items()}
        return {
            "format": FORMAT,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "fields": fields,
            "splits": splits,
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Description:
        """Return what ``to_json`` gave."""
        fields = {name: _field(entry) for name, entry in value["fields"].items()}
        splits = {name: _split(name, entry) for name, entry in value["splits"].items()}
        marks = [_text(key, value[key]) for key in ("name", "fingerprint")]
        return cls(marks[0], fields, splits, marks[1], value.get("provenance", {}))

    @classmethod
    def read(cls, folder: Path) -> Description:
        """Return the description that stands in a folder; UserError when it is damaged or of another format."""
        path = folder / FILE
        return cls.parse(path.read_bytes(), str(path))

    @classmethod
    def parse(cls, content: bytes, place: str) -> Description:
        """Return the description that the ``dataset.json`` at ``place`` holds.

        Raises:
            UserError: it is damaged, of another format, or names shards twice or outside of its folder.
        """
        try:
            value = json.loads(content)
            if value["format"] != FORMAT:
                raise ValueError(f"its format is {value['format']}, known is {FORMAT}")
            description = cls.from_json(value)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise UserError(f"{place!r} is no description of a data set: {reason}; pack the data again") from error
        _check_shards(description.splits, place)
        return description

    def write(self, folder: Path) -> None:
        """Write ``dataset.json``, whole or not at all."""
        write_text(folder / FILE, json.dumps(self.to_json(), indent=1))


def _field(entry: Mapping[str, Any]) -> Field:
    values: dict[str, Any] = {key: tuple(part) if isinstance(part, list) else part for key, part in entry.items()}
    return Field(**values)


def _split(name: str, entry: Mapping[str, Any]) -> Split:
    shards, samples, counts = entry["shards"], entry["samples"], entry.get("counts", {})
    if not isinstance(shards, list):
        raise ValueError(f"the shards of the split {name!r} are {short(shards)}, no list of names")
    if type(samples) is not int or samples < 0:
        raise ValueError(f"the samples of the split {name!r} are {short(samples)}, no number from 0")
    return Split(samples, tuple(_text(f"a shard of the split {name!r}", shard) for shard in shards), dict(counts))


def _check_shards(splits: Mapping[str, Split], place: str) -> None:
    """Refuse shards outside of the folder, and those named twice: a sample comes once, in one split."""
    owner: dict[str, str] = {}
    for name, split in splits.items():
        for shard in split.shards:
            if checked_name(shard, place) in owner:
                raise UserError(
                    f"{place!r} names the shard {shard!r} twice, for the split {owner[shard]!r} and for {name!r}: "
                    f"its samples would come twice; name each shard once"
                )
            owner[shard] = name


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is {short(value)}, no text")
    return value


def describe(place: str | Path | Folder, without: Collection[str] = ()) -> Description:
    """Return the description of the data set at a path or URL, ``without`` some of its splits.

    Raises:
        UserError: there is none, it is damaged, or the URL cannot be read.
    """
    folder = open_folder(place)
    content = folder.read(FILE)
    if content is not None:
        described = Description.parse(content, f"{folder.place}/{FILE}")
        return replace(described, splits={key: part for key, part in described.splits.items() if key not in without})
    from descant.data.infer import infer

    return infer(folder, without)


def fingerprint(indexes: Mapping[str, Sequence[ShardIndex]]) -> str:
    """Return the fingerprint of shards by split."""
    return joined_fingerprint({split: [shard.fingerprint for shard in shards] for split, shards in indexes.items()})


def joined_fingerprint(marks: Mapping[str, Sequence[str]]) -> str:
    """Return the fingerprint of a data set from those of its shards by split."""
    digest = hashlib.blake2b(digest_size=8)
    for split, shards in marks.items():
        digest.update(split.encode())
        for shard in shards:
            digest.update(shard.encode())
    return digest.hexdigest()


__all__ = ["Description", "Field", "Split", "describe", "fingerprint", "joined_fingerprint"]
