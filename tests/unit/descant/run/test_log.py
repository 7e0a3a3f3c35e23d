"""Rows of metrics.jsonl: JSON whatever the value, and none twice after a run goes on."""

from __future__ import annotations

import json
import math
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from descant.run.folder import RunFolder
from descant.run.log import MetricsLog, Row, read_rows


def write(folder: Path, first: int, last: int, after: int) -> list[Row]:
    heard: list[Row] = []
    log = MetricsLog(RunFolder(folder), after, heard.append)
    for step in range(first, last + 1):
        log.epoch, log.step = step // 2, step
        log.row("train", "genre", "loss", 1.0 / step, samples=8)
        log.row("train", None, "throughput_samples_s", 100.0)
    log.close()
    return heard


def test_listeners_file_and_tensorboard_get_the_same_rows(tmp_path: Path) -> None:
    heard = write(tmp_path, 1, 3, after=0)
    assert list(read_rows(tmp_path / "metrics.jsonl")) == heard
    assert list(heard[0]) == ["time", "epoch", "step", "split", "task", "metric", "value", "samples"]
    assert heard[2]["value"] == 0.5
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"genre/loss/train", "run/throughput_samples_s"}
    assert [event.step for event in events.Scalars("genre/loss/train")] == [1, 2, 3]


def test_rows_after_the_checkpoint_go_and_come_once(tmp_path: Path) -> None:
    write(tmp_path, 1, 5, after=0)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "torn')
    assert len(list(read_rows(tmp_path / "metrics.jsonl"))) == 10
    write(tmp_path, 4, 6, after=3)
    rows = list(read_rows(tmp_path / "metrics.jsonl"))
    assert [row["step"] for row in rows if row["task"]] == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "tensorboard"]


def test_values_that_are_not_finite_are_still_json(tmp_path: Path) -> None:
    log = MetricsLog(RunFolder(tmp_path), 0)
    for value in (math.nan, math.inf, -math.inf):
        log.row("validation", "genre", "loss", value)
    log.close()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_a_folder_without_rows_has_none(tmp_path: Path) -> None:
    assert list(read_rows(tmp_path / "metrics.jsonl")) == []
