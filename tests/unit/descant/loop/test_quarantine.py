"""Bad samples are named once, counted once, and limited."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from descant.data.batch import BadSample
from descant.errors import RunError
from descant.loop.quarantine import Quarantine, read_quarantine, unique_rows
from descant.loop.ranks import Ranks

SHARDS = {"train-000000.tar": ""}


def bad(number: int, stage: str = "decode", error: str = "cut off") -> BadSample:
    return BadSample("train-000000.tar", f"clip{number}", stage, error)


def test_a_sample_is_written_and_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    quarantine = Quarantine(path, SHARDS, sizes={"": 100}, limit=0.02, ranks=Ranks())
    assert quarantine.add([bad(1), bad(1), bad(2)]) == 2
    assert quarantine.add([bad(2), bad(1)]) == 0
    quarantine.check(2)
    assert [row["key"] for row in read_quarantine(path)] == ["clip1", "clip2"]
    again = Quarantine(path, SHARDS, sizes={"": 100}, limit=0.02, ranks=Ranks())
    assert again.add([bad(1)]) == 0, "a run that goes on knows them"
    with pytest.raises(
        RunError, match=r"3 of 100 .* over the limit of 2\.0%.*train-000000\.tar:clip1 \(decode: cut off\)"
    ):
        again.check(again.add([bad(3)]))


def test_the_first_ten_reasons_are_in_the_sentence(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.jsonl", SHARDS, sizes={"": 20}, limit=0.0, ranks=Ranks())
    fresh = quarantine.add(bad(number, error=f"reason {number}.") for number in range(12))
    with pytest.raises(RunError) as caught:
        quarantine.check(fresh)
    assert [f"reason {number}." in str(caught.value) for number in range(12)] == [True] * 10 + [False] * 2


def test_a_sample_that_two_ranks_meet_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    ranks = [Quarantine(path, SHARDS, sizes={"": 100}, limit=0.01, ranks=Ranks()) for _ in range(2)]
    for meets in ((0,), (1,)):  # in the second epoch the order has dealt the sample to the other rank
        fresh = sum(ranks[rank].add([bad(1)]) for rank in meets)
        for rank in ranks:
            rank.check(fresh)
    assert len(unique_rows(path)) == 1


def test_two_tasks_that_a_sample_cannot_teach_are_both_named(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    Quarantine(path, SHARDS, sizes={"": 100}, limit=1.0, ranks=Ranks()).add(
        [bad(1, "label", "genre: genre is 9"), bad(1, "label", "age: age is 'old'")]
    )
    assert {row["error"] for row in unique_rows(path)} == {"genre: genre is 9", "age: age is 'old'"}


def test_a_row_that_a_kill_has_torn_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    Quarantine(path, SHARDS, sizes={"": 100}, limit=1.0, ranks=Ranks()).add([bad(1)])
    with path.open("a") as file:
        file.write('{"shard": "tra')
    assert [row["key"] for row in read_quarantine(path)] == ["clip1"]
    Quarantine(path, SHARDS, sizes={"": 100}, limit=1.0, ranks=Ranks()).add([bad(2)])
    assert "clip2" in {row["key"] for row in read_quarantine(path)}
    assert all(json.loads(line) for line in path.read_text().splitlines()), "every line stays readable"


def test_each_data_set_has_its_own_limit(tmp_path: Path) -> None:
    shards = {"large/train-000000.tar": "large", "small/train-000000.tar": "small"}
    sizes = {"large": 1000, "small": 20}
    quarantine = Quarantine(tmp_path / "quarantine.jsonl", shards, sizes, limit=0.1, ranks=Ranks())
    of_large = [BadSample("large/train-000000.tar", f"clip{number}", "decode", "cut off") for number in range(3)]
    quarantine.check(quarantine.add(of_large))
    same_keys = [BadSample("small/train-000000.tar", f"clip{number}", "label", "torn") for number in range(3)]
    with pytest.raises(RunError, match=r"^3 of 20 training samples of 'small' cannot.*limit=0\.15; small/train"):
        quarantine.check(quarantine.add(same_keys))
