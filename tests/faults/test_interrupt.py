"""Ctrl-C: a checkpoint, a line that says how to go on, exit 130; the same command continues."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from faults.running import PATIENCE_S, TrainingProcess
from support import mel_data_set

SETTINGS = ["trainer.epochs=10", "trainer.batch_size=16", "trainer.log_steps=1", "inputs.mel.crop_frames=48"]


@pytest.mark.parametrize(
    "runner",
    [
        pytest.param(["run=inline"], id="inline"),
        pytest.param(["run.workers=[1,2]"], id="ray", marks=[pytest.mark.ray, pytest.mark.slow]),
    ],
)
def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path, runner: list[str]) -> None:
    data = mel_data_set(tmp_path / "data", train=160)
    recipe = ["genre", f"data={data}", *runner, *SETTINGS]
    with TrainingProcess(tmp_path, *recipe) as training:
        training.wait_for_step(12)
        children = training.children()
        os.killpg(training.process.pid, signal.SIGINT)  # a terminal sends it to everything it has started
        assert training.wait() == 130, training.output.read_text()
    assert "To go on: descant train genre" in training.output.read_text()
    assert training.summary()["status"] == "interrupted"
    done = training.logged_steps()
    assert 12 <= max(done) < 100
    assert psutil.wait_procs(children, timeout=PATIENCE_S)[1] == []

    with TrainingProcess(tmp_path, *recipe) as training:
        assert training.wait() == 0, training.output.read_text()
    assert training.summary()["status"] == "finished"
    assert training.summary()["resumed"] == 1
    assert training.logged_steps() == dict.fromkeys(range(1, 101), 1)
