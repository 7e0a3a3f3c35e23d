"""The rows that a driver shows are those that the workers write, each once, also over a rewritten file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descant.run.follow import RowFollower


def lines(*steps: int) -> str:
    return "".join(json.dumps({"step": step}) + "\n" for step in steps)


def steps(follower: RowFollower) -> list[int]:
    return [row["step"] for row in follower.poll()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def replace(path: Path, text: str) -> None:
    temporary = path.with_name("new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def test_rows_come_once_and_in_order(path: Path) -> None:
    follower = RowFollower(path)
    assert follower.poll() == []
    append(path, lines(1, 2))
    assert steps(follower) == [1, 2]
    assert steps(follower) == []
    append(path, lines(3))
    assert steps(follower) == [3]


def test_rows_of_before_are_not_new(path: Path) -> None:
    append(path, lines(1, 2))
    follower = RowFollower(path)
    append(path, lines(3))
    assert steps(follower) == [3]


def test_a_line_half_written_waits_for_its_end(path: Path) -> None:
    follower = RowFollower(path)
    append(path, lines(1) + '{"ste')
    assert steps(follower) == [1]
    append(path, 'p": 2}\n')
    assert steps(follower) == [2]


def test_a_torn_line_is_passed_over(path: Path) -> None:
    follower = RowFollower(path)
    append(path, lines(1) + '{"step": {"step": 2}\n7\n' + lines(3))
    assert steps(follower) == [1, 3]


@pytest.mark.parametrize("rewrite", [replace, Path.write_text])
def test_a_run_that_continues_takes_back_its_last_rows(path: Path, rewrite: object) -> None:
    assert callable(rewrite)
    follower = RowFollower(path)
    append(path, lines(1, 2, 3, 4))
    assert steps(follower) == [1, 2, 3, 4]
    rewrite(path, lines(1, 2))
    assert steps(follower) == []
    append(path, lines(3, 4, 5))
    assert steps(follower) == [3, 4, 5]


def test_a_rewrite_that_has_outgrown_what_was_read_is_seen(path: Path) -> None:
    follower = RowFollower(path)
    append(path, lines(1, 2, 3))
    assert steps(follower) == [1, 2, 3]
    replace(path, lines(1, 7, 8, 9, 10))
    assert steps(follower) == [7, 8, 9, 10]


@given(
    kept=st.lists(st.integers(0, 3), max_size=6), moves=st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=5)
)
def test_what_was_shown_is_what_was_appended(
    tmp_path_factory: pytest.TempPathFactory, kept: list[int], moves: list[list[int]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "metrics.jsonl"
    append(path, lines(*kept))
    follower = RowFollower(path)
    for added in moves:
        append(path, lines(*added))
        assert steps(follower) == added
