"""Work over the cores: results in order, few of them ahead, failures and interruptions passed on."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from descant.errors import RunError, UserError
from descant.parallel import in_order
from pool_work import (
    die_at_three,
    leave_a_trace,
    print_as_c_does,
    raise_the_unpicklable,
    refuse_seven,
    slow_square,
    threads_of,
)

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize(("jobs", "batch"), [(1, 1), (2, 1), (2, 7), (2, 100)])
def test_results_come_in_the_order_of_the_work_and_each_is_counted(jobs: int, batch: int) -> None:
    seen: list[tuple[int, int]] = []
    results = list(in_order(slow_square, list(range(40)), jobs, lambda done, total: seen.append((done, total)), batch))
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


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_that_cannot_be_pickled_is_passed_on_in_words(jobs: int) -> None:
    with pytest.raises(Exception, match="too complicated"):
        list(in_order(raise_the_unpicklable, [1, 2], jobs, None))


def test_what_cannot_be_pickled_is_refused_and_leaves_no_process() -> None:
    before = psutil.Process().children()
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        list(in_order(lambda number: number, [1, 2], 2, None))
    assert psutil.Process().children() == before


def test_where_it_was_raised_is_shown() -> None:
    with pytest.raises(ValueError, match="seven") as raised:
        list(in_order(refuse_seven, [7, 7], 2, None))
    assert "in refuse_seven" in str(raised.value.__cause__)


def test_large_work_and_large_results_pass() -> None:
    """More than a pipe holds, both ways, and from several processes at once."""
    parts = [bytes([number]) * 3_000_000 for number in range(6)]
    assert list(in_order(bytes.upper, parts, 2, None)) == [part.upper() for part in parts]


def test_what_work_prints_is_no_result(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(in_order(print, ["one", "two"], 2, None)) == [None, None]
    out, err = capfd.readouterr()
    assert (out, sorted(err.split())) == ("", ["one", "two"])


def test_each_process_has_one_thread() -> None:
    assert set(in_order(threads_of, list(range(4)), 2, None)) == {"1"}


def test_jobs_below_one_are_refused() -> None:
    with pytest.raises(UserError, match="jobs is 0"):
        list(in_order(slow_square, [1], 0, None))


def test_what_libraries_print_does_not_reach_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(in_order(print_as_c_does, ["one", "two"], 2, None)) == [None, None]
    assert "from C" not in capfd.readouterr().err


def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\nfrom descant.parallel import in_order\nfrom pool_work import note_process\n"
        f"if __name__ == '__main__':\n    list(in_order(note_process, [Path({str(tmp_path)!r})] * 4000, 2, None))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(TESTS)})
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    processes = [int(path.name) for path in tmp_path.iterdir()]
    assert len(processes) == 2
    while any(map(psutil.pid_exists, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, processes))
