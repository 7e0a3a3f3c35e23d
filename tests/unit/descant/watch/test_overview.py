"""How runs stand, by their folders."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from descant import train
from descant.run.lock import RunLock
from descant.watch import Overview, RunState, run_folders
from support import mel_data_set


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two epochs."""
    folder = tmp_path_factory.mktemp("overview")
    data = mel_data_set(folder / "data", train=16, validation=8, test=8, frames=20)
    small = ["run=inline", "inputs.mel.crop_frames=10", "trunk.hidden=[4]", "trainer.batch_size=8", "trainer.epochs=2"]
    return train("genre", [f"data={data}", f"run.dir={folder / 'runs'}", "trainer.loader_workers=0", *small]).folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the run, below a study's folder."""
    copy = tmp_path / "study" / "arm" / "run"
    shutil.copytree(finished, copy)
    (tmp_path / "study" / "notes").mkdir()
    yield copy


def look(folder: Path) -> RunState:
    (state,) = Overview(folder).look()
    return state


def test_a_finished_run_says_how_it_ended(run: Path, tmp_path: Path) -> None:
    state, summary = look(tmp_path), json.loads((run / "summary.json").read_text())
    assert state.folder == run and state.status == "finished"
    assert (state.step, state.steps, state.epoch, state.restarts, state.workers) == (4, 4, 1, 0, 1)
    assert (state.main, state.metric, state.value) == ("genre", "accuracy", summary["main"]["value"])
    assert state.samples_s and state.loss and state.wait_share is not None
    assert list(run_folders(run)) == [run], "a run folder may be given itself"


def test_a_run_without_an_end_is_running_or_dead(run: Path, tmp_path: Path) -> None:
    (run / "summary.json").unlink()
    overview = Overview(tmp_path)
    lock = RunLock(run)  # which this process holds
    assert [state.status for state in overview.look()] == ["running"]
    lock.release()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (run / ".lock").write_text(f"process {gone.pid} on {socket.gethostname()}")
    assert [state.status for state in overview.look()] == ["dead"]


def test_a_run_elsewhere_is_running_while_it_writes(run: Path, tmp_path: Path) -> None:
    (run / "summary.json").unlink()
    (run / ".lock").write_text("process 1 on another-host")
    assert look(tmp_path).status == "running"
    for name in ("metrics.jsonl", "environment.json", "recipe.yaml"):
        os.utime(run / name, (0, 0))
    assert look(tmp_path).status == "silent"


def test_runs_come_and_go(run: Path, tmp_path: Path) -> None:
    overview = Overview(tmp_path)
    assert len(overview.look()) == 1
    other = run.with_name("other")
    shutil.copytree(run, other)
    (other / "summary.json").unlink()
    lock = RunLock(other)
    assert [state.folder.name for state in overview.look()] == ["other", "run"], "those that run come first"
    lock.release()
    shutil.rmtree(run)
    assert [state.folder.name for state in overview.look()] == ["other"]


def test_a_folder_that_goes_while_it_is_looked_at_is_left_out(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "run").mkdir(parents=True)
        (tmp_path / name / "run" / "recipe.yaml").write_text("")
    found = run_folders(tmp_path)
    first = next(found)
    (other,) = {tmp_path / "one", tmp_path / "two"} - {first.parent}
    shutil.rmtree(other)
    assert list(found) == []


def test_a_run_that_was_claimed_and_no_more_is_shown(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "recipe.yaml").write_text("tasks: {genre: {role: main}}\n")
    state = look(tmp_path)
    assert (state.status, state.main, state.step, state.value) == ("running", "genre", None, None)


def test_restarts_are_counted(run: Path, tmp_path: Path) -> None:
    path = run / "environment.json"
    environment = json.loads(path.read_text())
    environment["starts"] += [{"time": 0.0, "step": 2, "workers": 3}] * 2
    path.write_text(json.dumps(environment))
    assert (look(tmp_path).restarts, look(tmp_path).workers) == (2, 3)
