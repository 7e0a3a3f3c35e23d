"""``descant tune`` as a user runs it, on clusters of its own: schedulers, failures, kills, several workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from descant.launch.prepare import prepare
from descant.loop.ranks import Ranks
from descant.loop.worker import work
from descant.run.log import read_rows
from descant.tune.results import pareto
from support import last_weights
from tuning import record_of, study_of, tiny_recipe

pytestmark = [pytest.mark.ray, pytest.mark.slow]
PATIENCE_S = 600  # a bound for a hanging test, not a measure

FLAKY = '''
from pathlib import Path

from descant import Classification, register_task


@register_task("flaky")
class Flaky(Classification):
    """The genre again, whose loss breaks: once where a file tells it to, or always."""

    label = "genre"

    def __init__(self, *, once: str = "", always: bool = False, **given):
        super().__init__(**given)
        self.once, self.always = once, always

    def loss(self, output, target):
        if len(target) > 2:  # not in the rehearsal
            if self.always:
                raise RuntimeError("this one always breaks")
            if self.once and Path(self.once).exists():
                Path(self.once).unlink()
                raise RuntimeError("a cable was pulled")
        return super().loss(output, target)
'''


class TuneProcess:
    """``descant tune`` with its output in a file, to be disturbed."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.study = folder / "runs" / "study"
        self.output = folder / "output.txt"
        place = [f"run.dir={folder / 'runs'}", "run.name=study"]
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "descant", "tune", *words, *place],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
            )

    def __enter__(self) -> TuneProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind, also of a test that failed."""
        self.kill()

    def kill(self) -> None:
        """End the process by SIGKILL, and see that Ray's end with it."""
        children = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        _, alive = psutil.wait_procs(children, timeout=60)
        for child in alive:
            child.kill()

    def wait_until(self, what: Callable[[], bool]) -> None:
        """Wait until something is so, while the process lives."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not what():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline_s, self.output.read_text()
            time.sleep(0.05)

    def ends(self) -> str:
        """Wait for a good end and return the output."""
        code = self.process.wait(PATIENCE_S)
        text = self.output.read_text()
        assert code == 0, text
        return text

    def statuses(self) -> list[str]:
        """Return the trials' statuses so far."""
        path = self.study / "study.json"
        return [trial["status"] for trial in json.loads(path.read_text())["trials"]] if path.exists() else []


def starts(trial: Path) -> int:
    """Return how often a trial began to train."""
    return len(json.loads((trial / "environment.json").read_text())["starts"])


def test_a_study_that_is_interrupted_and_killed_goes_on_and_failed_trials_are_tried_again(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    (tmp_path / "flaky.py").write_text(FLAKY)
    once = tmp_path / "once"
    words = [str(recipe), "plugins=[flaky.py]", f"tasks.flaky={{once: {once}, weight: 0.1}}", "tune.trials=6"]
    words += ["tune.space={optimizer.lr:{grid:[0.01,0.005]},tasks.flaky.always:{choice:[false,true]}}"]
    words += ["tune.search=grid", "trainer.epochs=4", "tune.concurrent=2"]
    with TuneProcess(tmp_path, *words) as one:
        one.wait_until(lambda: "finished" in one.statuses())
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(PATIENCE_S) == 130, one.output.read_text()
        assert "To go on: descant tune" in one.output.read_text()
        trials = one.study / "trials"
        done = [number for number, status in enumerate(one.statuses()) if status == "finished"]
        assert study_of(one.study)["status"] == "interrupted"
    before = {number: (trials / f"{number:04d}" / "metrics.jsonl").read_bytes() for number in done}
    once.touch()
    with TuneProcess(tmp_path, *words) as two:
        two.wait_until(lambda: not once.exists())  # a try has failed, and is followed by another
        two.kill()
    with TuneProcess(tmp_path, *words) as three:
        text = three.ends()
    study = study_of(three.study)
    assert study["status"] == "finished" and len(study["trials"]) == 4  # the grid has no more points
    for number, content in before.items():
        folder = trials / f"{number:04d}"
        assert (folder / "metrics.jsonl").read_bytes() == content and starts(folder) == 1
    for trial in study["trials"]:
        breaks = trial["params"]["tasks.flaky.always"]
        assert trial["status"] == ("failed" if breaks else "finished")
        if breaks:
            assert len(trial["errors"]) >= 2 and all("this one always breaks" in error for error in trial["errors"])
        else:
            rows = read_rows(trials / f"{trial['number']:04d}" / "metrics.jsonl")
            steps = Counter(row["step"] for row in rows if (row["split"], row["metric"]) == ("validation", "accuracy"))
            assert set(steps.values()) == {2} and len(steps) == 4  # of two tasks, each epoch once
    results = {each["number"]: each for each in study["results"]}
    assert all(not results[number]["values"] for number in results if results[number]["status"] == "failed")
    assert "2 of 4 trials failed and do not count" in text and "this one always breaks" in text


def test_asha_stops_trials_early(tmp_path: Path) -> None:
    """Trials of a learning rate of 0 come to nothing, and are stopped as soon as a better one has come as far."""
    recipe = tiny_recipe(tmp_path)
    space = "tune.space={optimizer.lr:{grid:[0.02,0.0,1.0e-9,2.0e-9]}}"
    words = [str(recipe), "trainer.epochs=6", "tune.concurrent=1", "tune.metric=reconstruction.loss", space]
    with TuneProcess(tmp_path, *words, "tune.scheduler={name:asha,grace_epochs:2,factor:4}") as tune:
        text = tune.ends()
    study = study_of(tune.study)
    results = {each["number"]: each for each in study["results"]}
    assert [trial["status"] for trial in study["trials"]] == ["finished", "stopped", "stopped", "stopped"]
    assert [results[number]["epochs"] for number in range(4)] == [6, 2, 2, 2]
    for number in range(1, 4):
        rows = list(read_rows(tune.study / "trials" / f"{number:04d}" / "metrics.jsonl"))
        assert max(row["step"] for row in rows) == 6  # two epochs of three steps, and none after the decision
        summary = json.loads((tune.study / "trials" / f"{number:04d}" / "summary.json").read_text())
        assert summary["data"]["consumed"] == 2 * 48
    assert study["best"] == 0 and "1 finished, 3 stopped early" in text


def replayed(recipe: Path, folder: Path, lineage: list[dict[str, Any]], data: list[str]) -> dict[str, torch.Tensor]:
    """Train in this process as a trial's record says: which values held from which step on."""
    ends = [change["step"] for change in lineage[1:]] + [10**9]
    for number, (change, end) in enumerate(zip(lineage, ends, strict=True)):
        words = [f"{key}={value!r}" for key, value in change["params"].items()]
        launch = prepare(str(recipe), [f"run.dir={folder}", "run=inline", "run.name=replayed", *words, *data,
                                       f"resume={str(number > 0).lower()}"])  # fmt: skip
        left = iter(range(end - change["step"]))
        work(launch.request, Ranks(), lambda left=left: next(left, None) is None)
        launch.lock.release()
    return last_weights(folder / "replayed")


@pytest.mark.parametrize("scheduler", ["pbt", "pb2"])
def test_members_take_over_checkpoints_and_their_records_tell_how_they_came_about(
    tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained again by its record alone, a member comes to the same weights, bit for bit."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    recipe = tiny_recipe(tmp_path)
    words = ["trainer.epochs=16"]
    named = f"tune.scheduler={{name:{scheduler},every_epochs:2,quantile:0.5}}"
    with TuneProcess(tmp_path, str(recipe), *words, named, "tune.trials=3") as tune:
        tune.ends()
    folders = [tune.study / "trials" / f"{number:04d}" for number in range(3)]
    records = [record_of(folder) for folder in folders]
    taken = [(number, change) for number, record in enumerate(records) for change in record["changes"][1:]]
    assert taken, "nobody took over a checkpoint"
    for number, change in taken:
        assert change["donor"] != number and change["step"] % 3 == 0  # at the end of an epoch of three steps
    number = taken[-1][0]
    lineage = records[number]["lineage"]
    assert len(lineage) > 1
    expected = replayed(recipe, tmp_path, lineage, words)
    assert all(torch.equal(value, expected[name]) for name, value in last_weights(folders[number]).items())
    weights = {
        row["value"]
        for row in read_rows(folders[number] / "metrics.jsonl")
        if (row["task"], row["metric"]) == ("reconstruction", "weight")
    }
    assert weights == {change["params"]["tasks.reconstruction.weight"] for change in lineage}
    assert (tune.study / "weights.svg").exists()


def test_trials_of_two_workers_run_side_by_side_and_give_a_front_of_two_tasks(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    words = ["tune.search=multi", "tune.trials=3", "tune.concurrent=2", "run.workers=2", "trainer.epochs=2", "--json"]
    with TuneProcess(tmp_path, str(recipe), *words) as tune:
        tune.ends()
    study = study_of(tune.study)
    results = study["results"]
    assert {each["status"] for each in results} == {"finished"}
    names = ["genre.accuracy", "reconstruction.mean_absolute_error"]
    assert study["front"]["of"] == names
    scores = [[each["values"][names[0]], -each["values"][names[1]]] for each in results]
    assert study["front"]["trials"] == [results[at]["number"] for at in pareto(scores)]
    for number in range(3):
        environment = json.loads((tune.study / "trials" / f"{number:04d}" / "environment.json").read_text())
        assert environment["starts"][0]["workers"] == 2


def test_what_the_cluster_never_will_have_is_said_at_once(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "descant", "tune", str(recipe), "run.gpus_per_worker=64", f"run.dir={tmp_path}"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "needs 64 GPUs and the cluster has" in done.stderr and "Traceback" not in done.stderr
    assert "starting Ray" not in done.stderr + done.stdout
