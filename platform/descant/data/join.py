"""Several data sets described as one: their fields and splits together, where they fit together."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from descant.data.description import Description, Field, Split
from descant.data.folder import Folder
from descant.errors import UserError


@dataclass(frozen=True)
class Source:
    """One data set: its name in the recipe (empty where it is the only one), its place and what it holds."""

    name: str
    folder: Folder
    description: Description

    def __str__(self) -> str:
        """Say its name as sentences need it."""
        return repr(self.name or self.folder.place)


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
    fields: dict[str, tuple[Source, Field]] = {}
    for source in sources:
        for name, field in source.description.fields.items():
            fields[name] = (source, _joined_field(name, source, field, *fields[name]) if name in fields else field)
    splits = _joined_splits([source.description for source in sources])
    counts = splits["train"].counts if "train" in splits else {}
    own = {name: dataclasses.replace(field, counts=tuple(counts.get(name, ()))) for name, (_, field) in fields.items()}
    if len(sources) == 1:
        return dataclasses.replace(sources[0].description, fields=own)
    digest = hashlib.blake2b(digest_size=8)
    for source in sources:
        digest.update(f"{source.name} {source.description.fingerprint} ".encode())
    provenance = {"sources": {source.name: dict(source.description.provenance) for source in sources}}
    name = "+".join(source.name for source in sources)
    return Description(name, own, splits, digest.hexdigest(), provenance)


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
