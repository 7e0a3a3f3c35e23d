"""No mutated shard crashes or hangs the reader, and no member of one is lost without a word.

Every member of the shard as it was is either read back as it was, or named in a problem, or lies where a problem says
that the shard is damaged; nothing that was not there is read. What cannot be asked for: bits flipped in data, long
names and PAX records, which have no check sum (there: no crash and nothing out of bounds), and sizes that lie by zeros,
which fill up every member's last block.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.accounting import check
from corpus.mutations import MUTATIONS, corpus

TESTS = Path(__file__).parents[1]
SHARDS = 10_000
PATIENCE_S = 300  # a bound for a reader that hangs, not a measure


@pytest.mark.slow
def test_nothing_is_lost_without_a_word() -> None:
    command = [sys.executable, "-m", "corpus.accounting", "--count", str(SHARDS)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    found = json.loads(done.stdout)
    assert found["failures"] == []
    assert found["shards"] == SHARDS
    assert found["read"] > 100_000 and found["accounted"] > 10_000  # both happen, or the check is an empty one


@pytest.mark.parametrize("way", list(MUTATIONS))
def test_each_way_is_a_function_of_its_seed(tmp_path: Path, way: str) -> None:
    first = list(MUTATIONS).index(way)
    mutated, again = (next(corpus(first, 1)) for _ in range(2))
    assert mutated.name == way
    assert mutated.raw == again.raw
    assert check(mutated, tmp_path / "shard.tar")[2] == []


def test_the_check_notices_what_is_lost(tmp_path: Path) -> None:
    """A whole sample taken out leaves a sound tar: nobody could tell, except who knows what was in it."""
    mutated = next(corpus(list(MUTATIONS).index("swap"), 1))
    members = mutated.shard.members
    kept = b"".join(member.blob for member in members if member.key != members[0].key) + mutated.shard.tail
    object.__setattr__(mutated, "raw", kept)
    assert any("is lost" in one for one in check(mutated, tmp_path / "shard.tar")[2])
