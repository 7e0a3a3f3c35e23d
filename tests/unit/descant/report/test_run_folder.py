from __future__ import annotations

import json
from pathlib import Path

import pytest

from descant.errors import UserError
from descant.report import read_run
from unit.descant.compare.stand_in import genre_recipe, write_run


def test_what_was_written_is_read(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "r", genre_recipe(10.0, seed=3, epochs=4)))
    assert (run.seed, run.status, run.main) == (3, "finished", ("genre", "accuracy"))
    assert list(run.tasks) == ["genre", "reconstruction"]
    assert list(run.curve("validation", "genre", "accuracy")) == [0, 1, 2, 3]
    assert run.curve("train", "reconstruction", "weight") == {0: 10, 1: 10, 2: 10, 3: 10}
    assert run.direction("reconstruction", "l1") == "min" and run.direction("genre", "strange") is None


def test_a_resumed_run_s_rows_count_once_and_train_rows_by_their_samples(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", genre_recipe(epochs=1))
    row = {"time": 0, "epoch": 1, "split": "train", "task": "genre", "metric": "loss"}
    rows = [
        {**row, "step": 5, "value": 99.0, "samples": 10},  # before the kill
        {**row, "step": 5, "value": 1.0, "samples": 10},  # after the resume
        {**row, "step": 6, "value": 4.0, "samples": 20},
        {**row, "step": 7, "value": None, "samples": 20},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"time": 0, "epo')
    run = read_run(folder)
    assert run.curve("train", "genre", "loss") == {1.0: 3.0}
    assert run.broken_lines == 1


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run folder"):
        read_run(tmp_path)
    folder = write_run(tmp_path / "r", genre_recipe(epochs=1))
    (folder / "summary.json").write_text("[1")
    with pytest.raises(UserError, match="not JSON"):
        read_run(folder)
    (folder / "summary.json").write_text("[1]")
    with pytest.raises(UserError, match="no JSON object"):
        read_run(folder)
    (folder / "summary.json").write_text("{}")
    (folder / "recipe.yaml").write_text("a: [")
    with pytest.raises(UserError, match="not YAML"):
        read_run(folder)
