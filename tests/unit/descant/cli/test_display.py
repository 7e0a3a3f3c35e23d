"""What the terminal says of a run while it goes on."""

from __future__ import annotations

import pytest

from descant.cli.display import Display


def test_a_task_that_had_stopped_before_a_run_goes_on_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"time": 0.0, "epoch": 3, "step": 9, "split": "train", "metric": "active", "samples": None}
    with Display("main", stopped=["old", "traits.hat"]) as display:
        for task, value in (("old", 0.0), ("traits.hat", 0.0), ("new", 0.0), ("steady", 1.0), ("old", 1.0)):
            display.row({**row, "task": task, "value": value})
    assert capsys.readouterr().out.splitlines() == ["epoch 3: new has stopped", "epoch 3: old goes on"]
