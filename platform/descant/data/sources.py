"""The data sets of a recipe, one or several, as one: joined fields, joined splits, and the order over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from descant.data.description import Description, describe, fingerprint
from descant.data.folder import open_folder
from descant.data.join import Source, joined
from descant.data.mixture import Stream, shares
from descant.data.reader import SplitReader
from descant.errors import UserError
from descant.recipe.data import DataSettings


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

    def prefetch(self, samples: np.ndarray) -> None:
        """Begin to fetch the shards of samples that are to be read soon, where they are remote."""
        for reader, own in self._by_reader(samples):
            reader.prefetch(own)

    def check_unchanged(self, samples: np.ndarray) -> None:
        """See that the shards of samples that were read are still those that were indexed.

        Raises:
            RunError: one was written to, or has gone.
        """
        for reader, own in self._by_reader(samples):
            reader.check_unchanged(own)

    def _by_reader(self, samples: np.ndarray) -> Iterator[tuple[SplitReader, np.ndarray]]:
        """Yield each data set's reader with its own numbers of those of ``samples`` that are its."""
        if len(self.readers) == 1:
            yield self.readers[0], samples
            return
        parts = np.searchsorted(self._ends, samples, side="right")
        for part in np.unique(parts).tolist():
            yield self.readers[part], samples[parts == part] - self.first[part]

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
        without: splits that are left alone: their shards may be unreadable or absent.
    """

    settings: DataSettings
    description: Description
    without: tuple[str, ...] = ()

    @classmethod
    def open(cls, settings: DataSettings, how_to_make_it: str = "", without: tuple[str, ...] = ()) -> DataSets:
        """Describe each data set and join them, ``without`` some splits.

        Raises:
            UserError: a data set is missing, is given twice, or holds a field otherwise than another one.
        """
        sources = _sources(settings, how_to_make_it, without)
        made = cls(settings, joined(sources), without)
        made.__dict__["sources"] = sources
        return made

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """The data sets, looked at when they are first needed: a trained run can do without."""
        return _sources(self.settings, "", self.without)

    def __str__(self) -> str:
        """Return the data sets' places."""
        return ", ".join(source.data for source in self.settings.sources.values())

    def check_shards(self) -> None:
        """See that the shards are those that ``dataset.json`` describes.

        Raises:
            UserError: they have other samples, or other content.
        """
        for source in self.sources:
            indexes = {name: source.folder.indexes(part.shards) for name, part in source.description.splits.items()}
            says = f"'descant data verify {source.folder.place}' names what is wrong; put back what belongs together"
            for name, part in source.description.splits.items():
                found = sum(len(index) for index in indexes[name])
                if found != part.samples:
                    raise UserError(
                        f"the split {name!r} of the data set {source.folder.place!r} has {found} samples, and "
                        f"dataset.json says {part.samples}: {says}"
                    )
            if not self.without and fingerprint(indexes) != source.description.fingerprint:
                raise UserError(
                    f"the shards of the data set {source.folder.place!r} are not those that dataset.json describes, "
                    f"by their fingerprint: {says}"
                )

    def reader(self, split: str) -> JoinedReader:
        """Return the reader of a split.

        Raises:
            UserError: no data set has the split, or for training one lacks it.
        """
        if split not in self._readers:
            having = [source for source in self.sources if source.description.splits.get(split)]
            self._readers[split] = JoinedReader(self.sources if split == "train" or not having else having, split)
        return self._readers[split]

    @cached_property
    def _readers(self) -> dict[str, JoinedReader]:
        """One for each split and process: what a run reads stays what it was when the run began."""
        return {}

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


def _sources(settings: DataSettings, how_to_make_it: str, without: tuple[str, ...]) -> tuple[Source, ...]:
    sources = []
    for name, given in settings.sources.items():
        folder = open_folder(given.data)
        if not folder.exists():
            how = how_to_make_it or "make one with 'descant pack', or try 'descant data demo'"
            raise UserError(f"there is no data set at {folder.place!r}: {how}")
        sources.append(Source(name, folder, describe(folder, without)))
    return tuple(sources)


def _shard(source: str, shard: str) -> str:
    return f"{source}/{shard}" if source else shard
