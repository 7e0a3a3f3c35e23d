"""The newest numbers of a run, found from the end of its rows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from descant.watch.latest import LatestNumbers, lines_backwards


def row(metric: str, value: float | None, *, split: str = "train", task: str | None = None, step: int = 0) -> str:
    numbers: dict[str, Any] = {"time": 0.0, "epoch": step // 10, "step": step, "split": split}
    return json.dumps({**numbers, "task": task, "metric": metric, "value": value, "samples": None}) + "\n"


def epoch(step: int, accuracy: float) -> list[str]:
    """Return the rows of an epoch that ends at ``step``."""
    return [
        row("throughput_samples_s", 100.0 + step, step=step),
        row("data_wait_share", 0.25, step=step),
        row("loss", 2.0, task="genre", step=step),
        row("loss", 9.0, task="smile", step=step),
        row("loss", 1.5, split="validation", task="genre", step=step),
        row("accuracy", accuracy, split="validation", task="genre", step=step),
        row("f1", 0.1, split="validation", task="genre", step=step),
        row("loss", 3.0, split="validation", task="smile", step=step),
        row("accuracy", 0.9, split="validation", task="smile", step=step),
    ]


def test_the_newest_of_each_number_is_found(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join([row("steps", 40.0), *epoch(10, 0.3), *epoch(20, 0.4)]))
    latest = LatestNumbers(path, "genre")
    first = {"epoch": 2, "step": 20, "steps": 40, "samples_s": 120.0, "wait_share": 0.25, "loss": 2.0}
    assert latest.look() == {**first, "metric": "accuracy", "value": 0.4}
    with path.open("a") as file:
        file.write("".join(epoch(30, 0.5)))
    assert latest.look() == {**first, "epoch": 3, "step": 30, "samples_s": 130.0, "metric": "accuracy", "value": 0.5}
    with path.open("a") as file:
        file.write(row("accuracy", 0.7, split="test", task="genre", step=20) + '{"time": 0, "epoch": 9')
    assert latest.look()["step"] == 30, "a test is of the best epoch, and a torn row is none"


def test_an_evaluation_that_comes_in_two_pieces_is_read_as_one(tmp_path: Path) -> None:
    path, rows = tmp_path / "metrics.jsonl", epoch(10, 0.3)
    path.write_text("".join(rows[:6]))
    latest = LatestNumbers(path, "genre")
    latest.look()
    with path.open("a") as file:
        file.write("".join(rows[6:]))
    assert (latest.look()["metric"], latest.look()["value"]) == ("accuracy", 0.3)


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join([row("steps", 40.0), *epoch(10, 0.3), *epoch(20, 0.4)]))
    latest = LatestNumbers(path, "genre")
    latest.look()
    other = tmp_path / "other"
    other.write_text(row("steps", 50.0))
    os.replace(other, path)
    assert latest.look() == {"epoch": 0, "step": 0, "steps": 50}


def test_a_main_task_without_metrics_is_judged_by_its_loss(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(row("loss", 1.5, split="validation", task="copy"))
    latest = LatestNumbers(path, "copy").look()
    assert (latest["metric"], latest["value"]) == ("loss", 1.5)
    assert LatestNumbers(tmp_path / "none.jsonl", "copy").look() == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=20), st.booleans())
def test_lines_come_backwards(tmp_path_factory: Any, lines: list[bytes], torn: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "lines"
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(content + b"torn" * torn)
    for block in (1, 3, 1 << 16):
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            assert list(lines_backwards(file.fileno(), size, block_bytes=block)) == lines[::-1]
            for start in range(0, len(content), 7):
                whole = [line for line in content[start:].split(b"\n")[:-1]]
                expected = whole if start == 0 or not whole else whole[1:]
                assert list(lines_backwards(file.fileno(), size, start, block_bytes=block)) == expected[::-1]
