"""``descant pack folder``: a folder for each class, of audio files or pictures, into shards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from descant.data.description import Field
from descant.errors import UserError
from descant.pack.files import StoredFile, open_files
from descant.pack.keys import KeyMaker, key_of
from descant.pack.media import Media, MediaFormat, extension_of
from descant.pack.packing import packer
from descant.pack.record import LeftOut, PackedSample, Plan, RawRecord, joined
from descant.pack.splits import NAMES, check_share, stratified, with_validation


@dataclass(frozen=True)
class _Item:
    """A file in the folder of a class; ``split`` is empty where the source has none."""

    path: str
    split: str
    label: str


@dataclass(frozen=True)
class ClassFolders(MediaFormat):
    """A folder, tar or tar.gz of CLASS/FILE, or of SPLIT/CLASS/FILE with the splits train, validation and test.

    Deeper folders belong to the class that they lie in. Without splits a seeded 70/10/20 within each class is drawn;
    with train but no validation, validation is drawn from train.

    Attributes:
        label: the label's name.
        validation: share of each class of train that becomes the validation split where the source has none.
    """

    label: str = "class"
    validation: float = 0.1
    name: ClassVar[str] = "folder"

    def __post_init__(self) -> None:
        check_share(self.validation)

    def plan(self, source: Path, seed: int, scratch: Path) -> Plan:
        """List the files; a UserError when there is no class or nothing that can be packed."""
        files = _without_root(open_files(source, scratch))
        media, known = self.media(files)
        items, left_out = _sort_out(files, known)
        if not items:
            raise UserError(f"no file of {str(source)!r} lies in a class's folder: give CLASS/FILE or SPLIT/CLASS/FILE")
        classes = sorted_classes(item.label for item in items)
        if len(classes) == 1:
            raise UserError(
                f"all files of {str(source)!r} lie in the folder of one class, {classes[0]!r}: give a folder that "
                f"holds one for each class"
            )
        keys, numbers = KeyMaker(), {name: number for number, name in enumerate(classes)}
        records = [
            RawRecord(keys.unused(key_of(item.path)), split, (files[item.path],), {self.label: numbers[item.label]})
            for item, split in zip(items, self._splits(items, seed), strict=True)
        ]
        fields = joined(media.fields(), {self.label: Field("class", classes=classes)})
        return Plan(fields, records, partial(encode_file, media), left_out)

    def _splits(self, items: list[_Item], seed: int) -> list[str]:
        if not items[0].split:
            return stratified([item.label for item in items], seed)
        splits = [item.split for item in items]
        if "validation" not in splits:
            train = [number for number, split in enumerate(splits) if split == "train"]
            for number, split in zip(
                train, with_validation([items[number].label for number in train], self.validation, seed), strict=True
            ):
                splits[number] = split
        return splits


def sorted_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return the different names in alphabetical order, or by their value where all are whole numbers."""
    different = set(names)
    if all(name.isdecimal() for name in different):
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    return tuple(sorted(different))


def encode_file(media: Media, record: RawRecord) -> PackedSample:
    """Return the sample of a record's only file."""
    return media.encode(record.read(), record.labels)


def _without_root(files: Mapping[str, StoredFile]) -> dict[str, StoredFile]:
    """Return the files without the one folder that all of them lie in, as in many tars, unless it is a split's."""
    roots = {path.partition("/")[0] for path in files if not path.startswith(".")}
    root = next(iter(roots), "")
    if len(roots) > 1 or root.lower() in NAMES or not any(path.count("/") > 1 for path in files):
        return dict(files)
    return {path.removeprefix(f"{root}/"): file for path, file in files.items()}


def _sort_out(files: Collection[str], known: frozenset[str]) -> tuple[list[_Item], list[LeftOut]]:
    """Return the files that can be packed with split and class, and the others with the reasons."""
    items: list[_Item] = []
    left_out: list[LeftOut] = []
    has_splits = _has_splits(files)
    for path in files:
        split, inner = "", path
        if has_splits:
            top, _, inner = path.partition("/")
            split = NAMES.get(top.lower(), "")
        label, slash, _ = inner.partition("/")
        if any(part.startswith(".") for part in path.split("/")):
            reason = "it is hidden"
        elif extension_of(path) not in known:
            reason = f"its extension is none of {', '.join(sorted(known))}"
        elif has_splits and not split:
            reason = "it lies in the folder of no split, as others do"
        elif not slash:
            reason = "it lies in the folder of no class"
        else:
            items.append(_Item(path, split, label))
            continue
        left_out.append({"key": path, "reason": reason})
    return items, left_out


def _has_splits(files: Collection[str]) -> bool:
    """Say whether the source has a folder train that holds folders."""
    return any(NAMES.get(path.partition("/")[0].lower()) == "train" and path.count("/") > 1 for path in files)


pack_folder = packer(ClassFolders)
