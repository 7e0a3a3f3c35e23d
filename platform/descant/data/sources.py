"""The data sets of a recipe, one or several, as one: joined fields, joined splits, and the order over them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from descant.data.description import Description, Field, Split, describe, fingerprint
from descant.data.folder import Folder, open_folder
from descant.data.mixture import Stream, shares
from descant.data.reader import SplitReader
from descant.errors import UserError
from descant.recipe.data import DataSettings


@dataclass(frozen=True)
class Source:
    """One data set: its name in the recipe (empty where it is the only one), its place and what it holds."""

    name: str
    folder: Folder
    description: Description

    def __str__(self) -> str:
        """Say its name as sentences need it."""
        return repr(self.name or self.folder.place)


class JoinedReader:
    """The samples of one split of all data sets, numbered through in the order of the recipe.

    Args:
        parts: the data sets that have the split.
        split: its name.
    """

    def __init__(self, parts: Sequence[Source], split: str) -> None:
        self.names = [part.name for part in parts]
        self.readers = [SplitReader(part.folder, part.description, split) for part in parts]
        self._ends = np.cumsum([len(reader) for reader in self.readers])

    def __len__(self) -> int:
        """Return the number of samples."""
        return int(self._ends[-1])

    @property
    def first(self) -> list[int]:
        """The number of each data set's first sample."""
        return [0, *self._ends[:-1].tolist()]

    @property
    def sizes(self) -> dict[str, int]:
        """How many samples each data set has."""
        return {name: len(reader) for name, reader in zip(self.names, self.readers, strict=True)}

    @property
    def shards(self) -> dict[str, str]:
        """The data set of each shard; shards are named as in ``name_of``."""
        return {
            _shard(name, index.path.name): name
            for name, reader in zip(self.names, self.readers, strict=True)
            for index in reader.indexes
        }

    def name_of(self, sample: int) -> tuple[str, str]:
        """Return the shard of a sample, after its data set's name where there are several, and the sample's key."""
        part, own = self._locate(sample)
        index, row = self.readers[part].locate(own)
        return _shard(self.names[part], index.path.name), index.keys[row]

    def member(self, sample: int, extension: str | Sequence[str]) -> bytes | None:
        """Return the bytes of a sample's member, of several extensions the first there is, or None without any."""
        part, own = self._locate(sample)
        return self.readers[part].member(own, extension)

    def labels(self, sample: int) -> dict[str, Any]:
        """Return a sample's labels; a ValueError when its JSON is not an object."""
        part, own = self._locate(sample)
        return self.readers[part].labels(own)

    @property
    def is_remote(self) -> bool:
        """Whether any data set's shards have to be fetched, so that ``prefetch`` is worth calling."""
        return any(reader.is_remote for reader in self.readers)

    def prefetch(self, samples: Sequence[int]) -> None:
        """Begin to fetch the shards of samples that are to be read soon, where they are remote."""
        wanted: dict[int, list[int]] = {}
        for sample in samples:
            part, own = self._locate(sample)
            wanted.setdefault(part, []).append(own)
        for part, own_samples in wanted.items():
            if self.readers[part].is_remote:
                self.readers[part].prefetch(own_samples)

    def _locate(self, sample: int) -> tuple[int, int]:
        if len(self.readers) == 1:
            return 0, sample
        part = int(np.searchsorted(self._ends, sample, side="right"))
        return part, sample - (int(self._ends[part - 1]) if part else 0)


@dataclass(frozen=True)
class DataSets:
    """What a recipe trains on.

    Attributes:
        settings: places and shares.
        description: what the data sets hold together.
    """

    settings: DataSettings
    description: Description

    @classmethod
    def open(cls, settings: DataSettings, how_to_make_it: str = "") -> DataSets:
        """Describe each data set and join them.

        Raises:
            UserError: a data set is missing, is given twice, or holds a field otherwise than another one.
        """
        sources = _sources(settings, how_to_make_it)
        made = cls(settings, joined(sources))
        made.__dict__["sources"] = sources
        return made

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """The data sets, looked at when they are first needed: a trained run can do without."""
        return _sources(self.settings, "")

    def __str__(self) -> str:
        """Return the data sets' places."""
        return ", ".join(source.data for source in self.settings.sources.values())

    def reader(self, split: str) -> JoinedReader:
        """Return the reader of a split.

        Raises:
            UserError: no data set has the split, or for training one lacks it.
        """
        having = [source for source in self.sources if source.description.splits.get(split)]
        return JoinedReader(self.sources if split == "train" or not having else having, split)

    def streams(self, reader: JoinedReader) -> tuple[Stream, ...]:
        """Return what each data set gives to an epoch; it hangs on what the shards hold now.

        Raises:
            UserError: weights that sum to nothing, or a data set without one position in an epoch.
        """
        sizes = list(reader.sizes.values())
        settings = self.settings
        positions = shares(sizes, settings.weights, settings.temperature, settings.samples or sum(sizes))
        streams = []
        for source, part, first, size, share in zip(
            self.sources, reader.readers, reader.first, sizes, positions, strict=True
        ):
            if not share:
                raise UserError(
                    f"the data set {source} gets none of the {sum(positions)} positions of an epoch: give it more "
                    f"weight, take it out (data.sources.{source.name}=null), or set data.samples higher"
                )
            now = fingerprint({source.description.fingerprint: part.indexes})
            shards = tuple(len(index) for index in part.indexes) if part.is_remote else ()
            streams.append(Stream(now, size, share, first, shards))
        return tuple(streams)


def joined(sources: Sequence[Source]) -> Description:
    """Return the description of data sets together, with each label's class counts in the training split.

    Raises:
        UserError: two of them are the same, or hold a field otherwise.
    """
    for number, source in enumerate(sources):
        for other in sources[:number]:
            if source.description.fingerprint == other.description.fingerprint:
                raise UserError(
                    f"the data sets {other} and {source} hold the same samples: take one out, and give the other "
                    f"more weight if it should count more"
                )
    splits = _joined_splits([source.description for source in sources])
    counts = splits["train"].counts if "train" in splits else {}
    fields: dict[str, tuple[Source, Field]] = {}
    for source in sources:
        for name, field in source.description.fields.items():
            fields[name] = (source, _joined_field(name, source, field, *fields[name]) if name in fields else field)
    own = {name: dataclasses.replace(field, counts=tuple(counts.get(name, ()))) for name, (_, field) in fields.items()}
    if len(sources) == 1:
        return dataclasses.replace(sources[0].description, fields=own)
    digest = hashlib.blake2b(digest_size=8)
    for source in sources:
        digest.update(f"{source.name} {source.description.fingerprint} ".encode())
    provenance = {"sources": {source.name: dict(source.description.provenance) for source in sources}}
    name = "+".join(source.name for source in sources)
    return Description(name, own, splits, digest.hexdigest(), provenance)


def _sources(settings: DataSettings, how_to_make_it: str) -> tuple[Source, ...]:
    sources = []
    for name, given in settings.sources.items():
        folder = open_folder(given.data)
        if not folder.exists():
            how = how_to_make_it or "make one with 'descant pack', or try 'descant data demo'"
            raise UserError(f"there is no data set at {folder.place!r}: {how}")
        sources.append(Source(name, folder, describe(folder)))
    return tuple(sources)


def _joined_splits(descriptions: Sequence[Description]) -> Mapping[str, Split]:
    if len(descriptions) == 1:
        return descriptions[0].splits
    splits: dict[str, Split] = {}
    for name in dict.fromkeys(name for description in descriptions for name in description.splits):
        having = [description.splits[name] for description in descriptions if name in description.splits]
        counts: dict[str, list[int]] = {}
        for split in having:
            for label, own in split.counts.items():
                before = counts.get(label, [0] * len(own))
                counts[label] = [one + other for one, other in zip(before, own, strict=True)]
        splits[name] = Split(sum(split.samples for split in having), (), counts)
    return splits


def _joined_field(name: str, source: Source, field: Field, other: Source, before: Field) -> Field:
    """Return a field that two data sets have; samples of both can then stand in one batch."""
    if field.kind != before.kind:
        raise UserError(
            f"the field {name!r} is of kind {before.kind} in the data set {other} and of kind {field.kind} in "
            f"{source}: pack one of them again"
        )
    if field.classes != before.classes:
        raise UserError(
            f"the label {name!r} has the classes {list(before.classes)} in the data set {other} and "
            f"{list(field.classes)} in {source}: pack them with the same names in the same order"
        )
    if field.is_label and field.shape != before.shape:
        raise UserError(
            f"the label {name!r} has the shape {before.shape} in the data set {other} and {field.shape} in {source}: "
            f"pack one of them again"
        )
    extensions = tuple(dict.fromkeys([*_extensions(before), *_extensions(field)]))
    return dataclasses.replace(
        before,
        extension=extensions if len(extensions) > 1 else before.extension,
        shape=before.shape if before.shape == field.shape else None,
        rate_hz=before.rate_hz if before.rate_hz == field.rate_hz else None,
        seconds=before.seconds if before.seconds == field.seconds else None,
    )


def _extensions(field: Field) -> tuple[str, ...]:
    return (field.extension,) if isinstance(field.extension, str) else field.extension or ()


def _shard(source: str, shard: str) -> str:
    return f"{source}/{shard}" if source else shard
