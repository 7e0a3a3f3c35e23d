from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from descant.compare.arms import parse_arms, plan
from descant.compare.scheduler import Progress, Scheduler, Share, last_error, share_cores
from descant.compare.study import finished
from descant.cores import usable_cores
from descant.errors import UserError

INTERRUPTED = """
import sys
from pathlib import Path
from descant.compare.arms import parse_arms, plan
from descant.compare.scheduler import Scheduler, Share
scheduler = Scheduler(Path(sys.argv[1]), Share(2, 1, 0), tuple(sys.argv[2:]))
try:
    runs = plan(parse_arms(["tasks.reconstruction.weight=0,10"]), 2, ["behaviour=wait"], "demo")
    scheduler.run(runs, lambda progress: None)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_failed_run_is_told_and_the_others_go_on(tmp_path: Path, stand_in: tuple[str, str]) -> None:
    runs = plan(parse_arms(["tasks.reconstruction.weight=0,10"]), 2, ["behaviour=fail-seed-1"], "demo")
    told: list[Progress] = []
    outcomes = Scheduler(tmp_path, Share(2, 3, 1), stand_in).run(runs, told.append)
    assert {outcome.run.name: outcome.status for outcome in outcomes} == {
        run.name: "failed" if run.seed == 1 else "finished" for run in runs
    }
    assert {o.message for o in outcomes if o.code} == {"RunError: the loss of genre became NaN at step 7 (exit 1)"}
    assert [progress.ended for progress in told if progress.event != "started"] == [1, 2, 3, 4]
    assert (tmp_path / runs[0].name / "starts.txt").read_text() == "threads 3\n"
    assert "became NaN" in (tmp_path / "logs" / f"{runs[2].name}.log").read_text()


def test_wrong_usage_ends_it_before_hours_are_spent(tmp_path: Path, stand_in: tuple[str, str]) -> None:
    runs = plan(parse_arms(["tasks.recon.weight=0,10"]), 5, ["behaviour=refuse"], "demo")
    with pytest.raises(UserError, match=r"did you mean 'tasks\.reconstruction'"):
        Scheduler(tmp_path, Share(1, 1, 0), stand_in).run(runs, lambda progress: None)
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
    assert last_error("start\ndescant: there is no trunk 'x'\n") == "there is no trunk 'x'", "the program says its name"
    assert last_error("\n") == "it printed nothing"


def test_cores_are_shared_over_threads_and_loaders() -> None:
    cores = usable_cores()
    assert share_cores(1000).jobs == min(cores, 1000)
    assert share_cores(1000, jobs=1) == share_cores(1)
    for jobs in range(1, cores + 1):
        share = share_cores(1000, jobs)
        assert share.jobs == jobs and share.threads >= 1
        assert share.jobs * (share.threads + share.loader_workers) <= cores


def test_a_recipe_s_own_loaders_stay_and_an_override_wins(tmp_path: Path) -> None:
    run = plan(parse_arms(["w=0,1"]), 1, ["trainer.loader_workers=3"], "demo")[0]
    words = Scheduler(tmp_path, Share(2, 1, 1)).arguments(run)
    assert words.index("trainer.loader_workers=1") < words.index("trainer.loader_workers=3")
    own = Scheduler(tmp_path, Share(2, 1, 1), sets_loaders=False).arguments(run)
    assert "trainer.loader_workers=1" not in own
