"""A worker that is killed in mid-epoch is replaced, and the run ends as if nothing had been."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.running import TrainingProcess
from support import mel_data_set


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_survives_a_killed_worker(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data", train=160)
    settings = ["trainer.epochs=8", "trainer.batch_size=16", "trainer.log_steps=1", "inputs.mel.crop_frames=48"]
    with TrainingProcess(tmp_path, "genre", f"data={data}", "run.workers=2", *settings) as training:
        training.wait_for_step(14)
        first, second = training.workers()
        second.kill()
        assert training.wait() == 0, training.output.read_text()
    summary = training.summary()
    assert summary["status"] == "finished"
    assert summary["resumed"] == 1
    assert summary["data"]["consumed"] == 8 * 160
    assert training.logged_steps() == dict.fromkeys(range(1, 81), 1)
    assert "was lost" in training.output.read_text()
    assert not first.is_running()
