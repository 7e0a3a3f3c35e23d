"""``details.json``: what metrics are made of, of the best epoch alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from descant.loop.details import plain_details, write_details
from descant.run.folder import RunFolder
from evaluation_case import scores, tasks


def test_details_are_there_by_task_metric_and_name() -> None:
    details = plain_details(scores(0, 1))
    assert set(details) == {"genre", "traits"}, "the others' metrics are made of nothing more"
    assert set(details["genre"]["balanced_accuracy"]) == {"a", "b", "c", "d"}
    assert set(details["traits"]["accuracy"]) == {"0", "1", "2"}
    recalls = [value for value in details["genre"]["balanced_accuracy"].values() if value is not None]
    assert sum(recalls) / len(recalls) == pytest.approx(scores(0, 1).values["genre"]["balanced_accuracy"])


def test_what_is_not_defined_is_null(tmp_path: Path) -> None:
    found = dataclasses.replace(scores(0, 1), details={"genre": {"f1": {"a": float("nan"), "b": 0.5}}})
    write_details(RunFolder(tmp_path), 3, "validation", found, tasks())
    content = json.loads((tmp_path / "details.json").read_text())
    assert content == {"epoch": 3, "validation": {"genre": {"f1": {"a": None, "b": 0.5}}}, "along": {}}


def test_splits_of_one_epoch_stand_together_and_others_go(tmp_path: Path) -> None:
    folder, found = RunFolder(tmp_path), scores(0, 1)
    for epoch, split, kept in (
        (1, "validation", {"validation"}),
        (1, "test", {"validation", "test"}),
        (4, "validation", {"validation"}),
    ):
        write_details(folder, epoch, split, found, tasks())
        content = json.loads((tmp_path / "details.json").read_text())
        assert content["epoch"] == epoch and set(content) - {"epoch", "along"} == kept
        assert content[split] == plain_details(found)


def test_without_details_there_is_no_file(tmp_path: Path) -> None:
    write_details(RunFolder(tmp_path), 1, "test", dataclasses.replace(scores(0, 1), details={"age": {}}), tasks())
    assert list(tmp_path.iterdir()) == []
