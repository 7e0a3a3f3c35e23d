"""Several data sets in one run: each teaches its tasks, any number of ranks gives the same, a resume goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from descant import train
from descant.errors import UserError
from descant.launch.prepare import prepare
from descant.run.log import read_rows
from support import check_ranks_and_a_resume, mel_data_set, npy, write_shard

PLUGIN = """
from descant import Classification, register_task

@register_task("mood")
class Mood(Classification):
    \"\"\"An auxiliary that only the second data set teaches.\"\"\"
    label = "mood"
    classes = ("calm", "wild")
"""


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two data sets, one with genres and one with moods, in one recipe."""
    folder = tmp_path_factory.mktemp("mixture")
    genres = mel_data_set(folder / "genres", train=40, validation=16, test=8)
    moods = mel_data_set(
        folder / "moods", train=12, validation=8, test=8, labels=lambda number, genre: {"mood": number % 2}
    )
    plugin = folder / "moods_of_a_test.py"
    plugin.write_text(PLUGIN)
    return [
        f"data={{sources: {{genres: {{data: '{genres}'}}, moods: {{data: '{moods}'}}}}}}",
        f"plugins=['{plugin}']",
        "tasks.mood.weight=0.5",
        "inputs.mel.crop_frames=32",
        "trainer.batch_size=8",
        "trainer.log_steps=1",
        "trainer.epochs=2",
        "trunk.hidden=[8]",
        "run=inline",
    ]


def rows(run: Path) -> list[tuple[Any, ...]]:
    return [
        (row["epoch"], row["step"], row["split"], row["task"], row["metric"], row["samples"])
        for row in read_rows(run / "metrics.jsonl")
        if row["task"] is not None and row["metric"] in ("loss", "accuracy")
    ]


def test_each_data_set_teaches_its_tasks_and_passes_are_told_apart(tmp_path: Path, overrides: list[str]) -> None:
    run = train("genre_reconstruction", [*overrides, f"run.dir={tmp_path}"])
    assert run.summary["data"] == {"consumed": 104, "quarantined": 0, "passes": {"genres": 2.0, "moods": 2.0}}
    taught = {task: 0 for task in ("genre", "mood", "reconstruction")}
    for _, _, split, task, metric, samples in rows(run.folder):
        if split == "train" and metric == "loss":
            taught[task] += samples
    assert taught == {"genre": 80, "mood": 24, "reconstruction": 104}, "labels counted where they are, none lost"
    scored = {(task, samples) for _, _, split, task, _, samples in rows(run.folder) if split == "validation"}
    assert scored == {("genre", 16), ("mood", 8), ("reconstruction", 24)}


def test_weights_and_homogeneous_batches(tmp_path: Path, overrides: list[str]) -> None:
    mixed = [
        "data.sources.genres.weight=1",
        "data.sources.moods.weight=1",
        "data.samples=32",
        "data.homogeneous=true",
    ]
    run = train("genre_reconstruction", [*overrides, *mixed, f"run.dir={tmp_path}"])
    assert run.summary["data"]["passes"] == {"genres": 32 / 40, "moods": pytest.approx(32 / 12)}
    by_step: dict[int, set[str]] = {}
    for _, step, split, task, _, _ in rows(run.folder):
        if split == "train" and task != "reconstruction":
            by_step.setdefault(step, set()).add(task)
    assert all(len(tasks) == 1 for tasks in by_step.values()), "one data set a batch"
    assert len(by_step) == 8


def test_ranks_and_a_resume_change_nothing(tmp_path: Path, overrides: list[str]) -> None:
    settings = [*overrides, f"run.dir={tmp_path}", "data.sources.genres.weight=1", "data.sources.moods.weight=2"]
    settings += ["trunk.dropout=0", "tasks.genre.dropout=0", "tasks.mood.dropout=0", "tasks.reconstruction.dropout=0"]
    check_ranks_and_a_resume("genre_reconstruction", settings, before_step=5)


def test_data_sets_that_do_not_fit_together_are_refused(tmp_path: Path, overrides: list[str]) -> None:
    genres = mel_data_set(tmp_path / "genres", train=16, validation=8, test=8)
    twice = [*overrides, f"data=['{genres}', '{genres.parent}/again']", f"run.dir={tmp_path}"]
    (tmp_path / "again").symlink_to(genres)
    with pytest.raises(UserError, match="'genres' and 'again' hold the same samples: take one out"):
        prepare("genre", twice)
    other = tmp_path / "other"
    for split in ("train", "validation"):
        samples = {"a": {"npy": npy(torch.zeros(40, 128).numpy()), "json": b'{"genre": 2.5}'}}
        write_shard(other / f"{split}-000000.tar", samples)
    with pytest.raises(
        UserError, match="'genre' is of kind class in the data set 'genres' and of kind number in 'other'"
    ):
        prepare("genre", [*overrides, f"data=['{genres}', '{other}']", f"run.dir={tmp_path}"])
    fewer = mel_data_set(tmp_path / "fewer", labels=lambda number, genre: {"genre": genre % 3})
    with pytest.raises(UserError, match=r"'genre' has the classes .* in the data set 'genres' and .* in 'fewer'"):
        prepare("genre", [*overrides, f"data=['{genres}', '{fewer}']", f"run.dir={tmp_path}"])
    starved = ["data.sources.genres.weight=1000", "data.sources.moods.weight=1", "data.samples=20"]
    with pytest.raises(UserError, match=r"'moods' gets none of the 20 positions .*data\.sources\.moods=null"):
        prepare("genre", [*overrides, *starved, f"run.dir={tmp_path}"])
    assert not (tmp_path / "genre").exists()
