"""The recipe's ``data``: one data set, or several that share an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from descant.errors import UserError, nearest

_KEYS = ("sources", "temperature", "samples", "homogeneous")
_SOURCE_KEYS = ("data", "weight")


@dataclass(frozen=True)
class SourceSettings:
    """One data set of a recipe: its folder or URL, and its share of an epoch (None: each sample once)."""

    data: str
    weight: float | None = None


@dataclass(frozen=True)
class DataSettings:
    """What a recipe trains on.

    Attributes:
        sources: the data sets by name; a recipe's only one may have the empty name.
        temperature: T of shares ∝ size^(1/T), in the place of weights.
        samples: positions of an epoch, where weights or a temperature decide; None: as many as there are samples.
        homogeneous: whether all samples of a batch come from one data set.
    """

    sources: Mapping[str, SourceSettings]
    temperature: float | None = None
    samples: int | None = None
    homogeneous: bool = False

    def __post_init__(self) -> None:
        """Refuse shares that say two things, or nothing."""
        weighted = [name for name, source in self.sources.items() if source.weight is not None]
        bare = [name for name in self.sources if name not in weighted]
        if weighted and bare:
            raise UserError(
                f"data.sources.{bare[0]} has no weight, but {weighted[0]!r} has one: give a weight to all data sets, "
                f"or to none, so that each sample comes once an epoch"
            )
        if weighted and self.temperature is not None:
            raise UserError(
                "data has weights and a temperature: the temperature makes the weights, so give one of both"
            )
        if self.samples is not None and not weighted and self.temperature is None:
            raise UserError("data.samples is the length of an epoch of weighted data sets: give them weights too")
        if weighted and not sum(source.weight or 0.0 for source in self.sources.values()) > 0:
            raise UserError("the weights of data.sources are all 0: give one that is above")

    @property
    def weights(self) -> list[float] | None:
        """The data sets' weights, None where each sample comes once."""
        weights = [source.weight for source in self.sources.values()]
        return None if None in weights else [float(weight) for weight in weights if weight is not None]

    @property
    def plain(self) -> str | dict[str, Any]:
        """The settings as a recipe writes them."""
        if list(self.sources) == [""]:
            return self.sources[""].data
        sources = {
            name: {"data": source.data} | ({} if source.weight is None else {"weight": source.weight})
            for name, source in self.sources.items()
        }
        rest = {"temperature": self.temperature, "samples": self.samples, "homogeneous": self.homogeneous}
        return {"sources": sources, **rest}

    def map_places(self, function: Callable[[str], str]) -> DataSettings:
        """Return the settings with each folder or URL replaced by what ``function`` makes of it."""
        sources = {name: SourceSettings(function(one.data), one.weight) for name, one in self.sources.items()}
        return DataSettings(sources, self.temperature, self.samples, self.homogeneous)

    @classmethod
    def parse(cls, value: object) -> DataSettings:
        """Return the settings of a folder or URL, a list of several, or a mapping with ``sources``.

        Raises:
            UserError: no data, an unknown key, a name given twice, or a value that says nothing.
        """
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and str(value):
            return cls({"": SourceSettings(str(value))})
        if isinstance(value, list) and value:
            return cls(_named(value))
        if not isinstance(value, Mapping):
            raise UserError("the recipe has no data: set data=FOLDER to a data set that 'descant pack' made")
        _check_keys("data", value, _KEYS)
        given = value.get("sources")
        if not isinstance(given, Mapping) or not any(source is not None for source in given.values()):
            raise UserError("data.sources names no data set: give a mapping such as {music: {data: data/fma}}")
        return cls(
            {str(name): _source(str(name), source) for name, source in given.items() if source is not None},
            _positive("data.temperature", value.get("temperature")),
            _count("data.samples", value.get("samples")),
            _flag("data.homogeneous", value.get("homogeneous", False)),
        )


def _named(places: list[object]) -> dict[str, SourceSettings]:
    """Name each data set of a list after its folder."""
    sources: dict[str, SourceSettings] = {}
    for place in places:
        name = PurePosixPath(str(place)).name
        if name in sources:
            raise UserError(
                f"data lists two data sets in folders named {name!r}: name them, as in "
                f"data={{sources: {{one: {{data: {sources[name].data}}}, two: {{data: {place}}}}}}}"
            )
        sources[name] = SourceSettings(str(place))
    return sources


def _source(name: str, value: object) -> SourceSettings:
    where = f"data.sources.{name}"
    if not name or "/" in name:
        raise UserError(f"data.sources has a data set named {name!r}: give a plain name")
    if isinstance(value, str):
        return SourceSettings(value)
    if not isinstance(value, Mapping) or not isinstance(value.get("data"), (str, int)):
        raise UserError(f"{where} is {value!r}: give a folder, or a mapping such as {{data: data/fma, weight: 2}}")
    _check_keys(where, value, _SOURCE_KEYS)
    weight = value.get("weight")
    if weight is not None and not (_is_number(weight) and 0 <= weight < math.inf):
        raise UserError(f"{where}.weight is {weight!r}: give a number from 0, or null")
    return SourceSettings(str(value["data"]), None if weight is None else float(weight))


def _check_keys(where: str, value: Mapping[Any, object], known: tuple[str, ...]) -> None:
    for key in value:
        if key not in known:
            raise UserError(f"there is no key {where}.{key}: {nearest(str(key), known)}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _positive(where: str, value: Any) -> float | None:
    if value is not None and not (_is_number(value) and 0 < value < math.inf):
        raise UserError(f"{where} is {value!r}: give a number above 0, or null")
    return None if value is None else float(value)


def _count(where: str, value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise UserError(f"{where} is {value!r}: give a whole number from 1, or null")
    return value if value is None else int(value)


def _flag(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"{where} is {value!r}: give true or false")
    return value
