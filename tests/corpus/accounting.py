"""Whether every member of a mutated shard is read back as it was, or accounted for.

    python -m corpus.accounting --count 10000     from the folder tests

prints one line of JSON: how many shards, how many samples were read and accounted for, and what was not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from corpus.mutations import Mutated, corpus
from corpus.shards import BLOCK, Member
from descant.data.index import ShardIndex, build_index

NO_IDENTITY = ("data", "anywhere", "overwrite")
"""These change bytes that no check sum covers: members may come back with other bytes or other names."""


def check(mutated: Mutated, path: Path) -> tuple[int, int, list[str]]:
    """Return how many members were read as they were, how many are accounted for, and what is wrong."""
    path.write_bytes(mutated.raw)
    index = build_index(path)
    wrong = list(_out_of_bounds(index))
    if mutated.name in NO_IDENTITY:
        return 0, 0, wrong
    found = _content(index, mutated.raw)
    starts = [start for column in index.offsets.values() for start in column.tolist() if start >= 0]
    read = accounted = 0
    names = {problem.key for problem in index.problems}
    expected: dict[tuple[str, str], Member] = {}
    for start, member in zip(mutated.shard.starts(), mutated.shard.members, strict=False):
        first = expected.setdefault((member.key, member.extension), member)
        got = found.get((member.key, member.extension))
        if got is not None and _same(got, first.data):
            read += 1
        elif names & {member.key, f"{member.key}.{member.extension}"} or _covered(index, starts, start, member):
            accounted += 1
        else:
            wrong.append(f"{member.key}.{member.extension} is {'another' if got is not None else 'lost'}")
    for key, extension in found.keys() - expected.keys():
        if key not in names:
            wrong.append(f"{key}.{extension} is invented")
    for (key, extension), data in found.items():
        if (key, extension) in expected and not _same(data, expected[key, extension].data) and key not in names:
            wrong.append(f"{key}.{extension} has other bytes")
    return read, accounted, wrong


def _same(got: bytes, was: bytes) -> bool:
    """A size that lies by zeros is not seen: zeros fill up the last block, and follow the last member."""
    return got == was or got.rstrip(b"\0") == was.rstrip(b"\0")


def _covered(index: ShardIndex, starts: list[int], start: int, member: Member) -> bool:
    """Is there a problem at or before the member, and nothing sound between them?"""
    end = start + len(member.blob)
    return any(
        problem.offset is not None
        and problem.offset <= end
        and not any(problem.offset < sound <= start for sound in starts)
        for problem in index.problems
    )


def _content(index: ShardIndex, raw: bytes) -> dict[tuple[str, str], bytes]:
    return {
        (key, extension): raw[offsets[row] : int(offsets[row]) + int(index.sizes[extension][row])]
        for extension, offsets in index.offsets.items()
        for row, key in enumerate(index.keys)
        if offsets[row] >= 0
    }


def _out_of_bounds(index: ShardIndex) -> Iterator[str]:
    for extension, offsets in index.offsets.items():
        sizes = index.sizes[extension]
        there = offsets >= 0
        if (offsets[there] % BLOCK).any() or (offsets.astype("int64") + sizes > index.size_bytes).any():
            yield f"{extension} lies outside the shard"
        if (sizes[there] < 0).any():
            yield f"{extension} has a negative size"


def main() -> None:
    """Check a corpus and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000)
    args = parser.parse_args()
    totals: Counter[str] = Counter()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for mutated in corpus(args.first, args.count):
            try:
                read, accounted, wrong = check(mutated, Path(folder, "shard.tar"))
            except Exception as error:
                read, accounted, wrong = 0, 0, [f"raised {type(error).__name__}: {error}"]
            totals.update(shards=1, read=read, accounted=accounted)
            failures += [f"seed {mutated.seed}, {mutated.name} ({mutated.shard.writer}): {one}" for one in wrong]
    print(json.dumps({**totals, "failures": failures}))


if __name__ == "__main__":
    main()
