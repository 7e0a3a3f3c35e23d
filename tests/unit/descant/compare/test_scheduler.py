from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from descant.compare.arms import parse_arms, plan
from descant.compare.scheduler import Progress, Scheduler, last_error, share_cores
from descant.compare.study import finished
from descant.errors import UserError

INTERRUPTED = """
import sys
from pathlib import Path
from descant.compare.arms import parse_arms, plan
from descant.compare.scheduler import Scheduler
scheduler = Scheduler("demo", Path(sys.argv[1]), 2, 1, tuple(sys.argv[2:]))
try:
    scheduler.run(plan(parse_arms(["tasks.reconstruction.weight=0,10"]), 2, ["behaviour=wait"]), lambda progress: None)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_failed_run_is_told_and_the_others_go_on(tmp_path: Path, stand_in: tuple[str, str]) -> None:
    runs = plan(parse_arms(["tasks.reconstruction.weight=0,10"]), 2, ["behaviour=fail-seed-1"])
    told: list[Progress] = []
    outcomes = Scheduler("demo", tmp_path, 2, 3, stand_in).run(runs, told.append)
    assert {outcome.run.name: outcome.status for outcome in outcomes} == {
        run.name: "failed" if run.seed == 1 else "finished" for run in runs
    }
    assert {o.message for o in outcomes if o.code} == {"RunError: the loss of genre became NaN at step 7 (exit 1)"}
    assert [progress.ended for progress in told if progress.event != "started"] == [1, 2, 3, 4]
    assert (tmp_path / runs[0].name / "starts.txt").read_text() == "threads 3\n"
    assert "became NaN" in (tmp_path / "logs" / f"{runs[2].name}.log").read_text()


def test_wrong_usage_ends_it_before_hours_are_spent(tmp_path: Path, stand_in: tuple[str, str]) -> None:
    runs = plan(parse_arms(["tasks.recon.weight=0,10"]), 5, ["behaviour=refuse"])
    with pytest.raises(UserError, match=r"did you mean 'tasks\.reconstruction'"):
        Scheduler("demo", tmp_path, 1, 1, stand_in).run(runs, lambda progress: None)
    assert len(list((tmp_path / "logs").iterdir())) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_children_gently(tmp_path: Path, stand_in: tuple[str, str], number: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tmp_path), *stand_in])
    while len(list(tmp_path.glob("*/waiting"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, number)
    assert process.wait() == 130
    summaries = list(tmp_path.glob("*/summary.json"))
    assert len(summaries) == 2 and not any(finished(path.parent) for path in summaries)
    assert all("interrupted" in path.read_text() for path in summaries)


def test_the_line_that_names_the_error_is_told() -> None:
    assert last_error("start\nValueError: bad\ncheckpoint kept\n\n") == "ValueError: bad"
    assert last_error("start\nthe recipe is unknown\n") == "the recipe is unknown"
    assert last_error("\n") == "it printed nothing"


def test_cores_are_shared() -> None:
    cores = len(os.sched_getaffinity(0))
    assert share_cores(100) == (min(cores, 100), 1)
    assert share_cores(1) == (1, 1)
    assert share_cores(100, jobs=1) == (1, cores)
