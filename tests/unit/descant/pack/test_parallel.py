"""Work over the cores: results in order, few of them ahead, failures and interruptions passed on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from descant.errors import RunError, UserError
from descant.pack.parallel import in_order
from pool_work import die_at_three, leave_a_trace, refuse_seven, slow_square, threads_of


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_work_and_each_is_counted(jobs: int) -> None:
    seen: list[tuple[int, int]] = []
    results = list(in_order(slow_square, list(range(40)), jobs, lambda done, total: seen.append((done, total))))
    assert results == [number * number for number in range(40)]
    assert seen == [(done, 40) for done in range(1, 41)]


def test_no_work_gives_no_results() -> None:
    assert list(in_order(slow_square, [], None, None)) == []


def test_a_slow_reader_keeps_the_workers_from_running_ahead(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:03d}" for number in range(100)]
    results = in_order(leave_a_trace, paths, 2, None)
    next(results)
    deadline = time.monotonic() + 20
    while len(list(tmp_path.iterdir())) < 16 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)  # what would run ahead had the time to
    assert len(list(tmp_path.iterdir())) == 16
    results.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) < 100


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_is_passed_on_in_its_place(jobs: int) -> None:
    results = in_order(refuse_seven, list(range(30)), jobs, None)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="seven"):
        next(results)


def test_a_killed_process_is_said_in_plain_words() -> None:
    with pytest.raises(RunError, match="has been killed"):
        list(in_order(die_at_three, list(range(30)), 2, None))


def test_each_process_has_one_thread() -> None:
    assert set(in_order(threads_of, list(range(4)), 2, None)) == {"1"}


def test_jobs_below_one_are_refused() -> None:
    with pytest.raises(UserError, match="jobs is 0"):
        list(in_order(slow_square, [1], 0, None))
