"""Verifies shards: walks all of each anew, writes its index, and holds them against ``dataset.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from descant.data.description import Description, Split, joined_fingerprint
from descant.data.folder import DESCRIPTION as FILE
from descant.data.index import fitting_jobs, rebuild_index
from descant.data.table import ShardIndex, ShardProblem
from descant.errors import UserError
from descant.parallel import in_order

RUNS_CODE = frozenset({"pyd", "pickle", "pkl", "pth", "pt", "ckpt", "joblib", "dill"})
"""Parts of extensions of members that other readers unpickle."""


@dataclass(frozen=True)
class ShardReport:
    """What was found in one shard.

    Attributes:
        path: of the tar.
        samples: that are sound.
        size_bytes: of the tar.
        content: a digest of all its bytes.
        fingerprint: the one of its index.
        problems: what is wrong with it.
    """

    path: Path
    samples: int
    size_bytes: int
    content: str
    fingerprint: str
    problems: Sequence[ShardProblem]


def shards_of(places: Iterable[str | Path]) -> list[Path]:
    """Return the tars that are meant by files and folders of them.

    Raises:
        UserError: a place does not exist, or is a folder without shards.
    """
    shards: list[Path] = []
    for given in places:
        if "://" in str(given):
            raise UserError(
                f"{str(given)!r} is a URL, and shards are verified where they lie: fetch them and verify the copy; "
                f"a run compares each shard that it fetches with its index"
            )
        place = Path(given)
        if place.is_dir():
            found = sorted(place.glob("*.tar"))
            if not found and not (place / FILE).exists():
                raise UserError(f"the folder {str(place)!r} holds no shards: give a folder of .tar files, or the files")
            shards += found
        elif place.exists():
            shards.append(place)
        else:
            raise UserError(f"there is no shard and no folder {str(place)!r}: check the path")
    return list(dict.fromkeys(shards))


def verify_shards(
    shards: Sequence[Path], jobs: int | None = None, on_progress: Callable[[int, int], None] | None = None
) -> Iterator[ShardReport]:
    """Walk each shard anew and keep its index; ``jobs`` is how many processes do, None what fits."""
    return in_order(_verify, shards, jobs or fitting_jobs(shards), on_progress)


def verify_description(folder: Path, reports: Sequence[ShardReport]) -> list[ShardProblem]:
    """Return what differs between a folder's ``dataset.json`` and its shards; nothing where there is none.

    Raises:
        UserError: ``dataset.json`` is damaged.
    """
    if not (folder / FILE).exists():
        return []
    found = {report.path.name: report for report in reports if report.path.parent == folder}
    description = Description.read(folder)
    problems = [problem for name, split in description.splits.items() for problem in _verify_split(name, split, found)]
    if not problems:  # else the fingerprint is another one for what is said already
        problems += _verify_fingerprint(description, found)
    named = {shard for split in description.splits.values() for shard in split.shards}
    extra = sorted(found.keys() - named)
    return problems + [ShardProblem(shard, None, None, f"{FILE} does not name it: it is not read") for shard in extra]


def _verify_split(name: str, split: Split, found: Mapping[str, ShardReport]) -> Iterator[ShardProblem]:
    for shard in split.shards:
        if shard not in found:
            yield ShardProblem(shard, None, None, f"{FILE} names it for the split {name!r}, but it is missing")
    samples = sum(found[shard].samples for shard in split.shards if shard in found)
    if samples != split.samples:
        says = f"{FILE} says that the split {name!r} has {split.samples} samples, its shards have {samples}"
        yield ShardProblem(FILE, None, None, says)


def _verify_fingerprint(description: Description, found: Mapping[str, ShardReport]) -> Iterator[ShardProblem]:
    """Name a fingerprint that is not the shards': that of other shards with as many samples."""
    splits = {name: [found[shard].fingerprint for shard in split.shards] for name, split in description.splits.items()}
    mark = joined_fingerprint(splits)
    if mark != description.fingerprint:
        says = (
            f"{FILE} has the fingerprint {description.fingerprint!r}, its shards have {mark!r}: they are those of "
            f"another data set, or were changed; put back what belongs together, or write the shards' into {FILE}"
        )
        yield ShardProblem(FILE, None, None, says)


def find_copies(reports: Iterable[ShardReport]) -> list[ShardProblem]:
    """Return which shards hold the same bytes as one before, so that their samples would come twice."""
    first: dict[str, ShardReport] = {}
    problems = []
    for report in reports:
        known = first.setdefault(report.content, report)
        if known is not report and report.samples:
            says = f"it has the same bytes as {known.path.name}: its samples would come twice"
            problems.append(ShardProblem(report.path.name, None, None, says))
    return problems


def _verify(path: Path) -> ShardReport:
    try:
        index = rebuild_index(path)
    except UserError as error:  # it cannot be read: the others can
        return ShardReport(path, 0, 0, "", "", [ShardProblem(path.name, None, None, str(error))])
    problems = [*index.problems, *_pickles(index)]
    return ShardReport(path, len(index), index.size_bytes, index.content, index.fingerprint, problems)


def _pickles(index: ShardIndex) -> Iterator[ShardProblem]:
    """Name what other readers would run: one problem for each extension, at the first of its members."""
    for extension, offsets in index.offsets.items():
        if RUNS_CODE.isdisjoint(extension.split(".")):
            continue
        rows = np.flatnonzero(offsets >= 0)
        says = f"{extension!r} members are pickles, which can run any code ({len(rows)} in all): they are never opened"
        yield ShardProblem(index.path.name, index.keys[int(rows[0])], int(offsets[rows[0]]), says)
