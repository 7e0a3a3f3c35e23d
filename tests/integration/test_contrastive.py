"""A contrastive auxiliary in whole runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from descant import Classification, register_task, train
from descant.run.log import read_rows
from support import check_ranks_and_a_resume, image_data_set, last_weights, mel_data_set

MELS = ["run=inline", "inputs.mel.crop_frames=24", "trunk={name: bilstm, hidden: [8], dropout: 0}"]
MELS += [
    "tasks.genre.dropout=0",
    "trainer.batch_size=16",
    "trainer.loader_workers=0",
    "trainer.epochs=2",
    "trainer.log_steps=1",
]
PLUGIN = "plugins=[descant_tasks.contrastive]"
CONTRASTIVE = [PLUGIN, "tasks.contrastive={weight: 0.5, projection: 8, hidden: [16]}"]
MAIN = "shade_beside_contrastive"


@register_task(MAIN)
class Shade(Classification):
    label = "shade"


def test_it_teaches_on_ranks_and_after_a_resume_alike(tmp_path: Path) -> None:
    """The last batch of an epoch has 11 of 16 rows, so two ranks hold different numbers."""
    data = mel_data_set(tmp_path / "data", train=43, validation=8, test=8)
    check_ranks_and_a_resume("genre", [f"data={data}", f"run.dir={tmp_path}", *MELS, *CONTRASTIVE], before_step=4)
    rows = [row for row in read_rows(tmp_path / "whole" / "metrics.jsonl") if row["task"] == "contrastive"]
    test = {row["metric"]: row["value"] for row in rows if row["split"] == "test"}
    assert test.keys() == {"loss", "pair_accuracy", "alignment", "uniformity"}
    assert all(math.isfinite(value) for value in test.values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_to_tell_samples_apart(tmp_path: Path, precision: str) -> None:
    data = image_data_set(tmp_path / "data", train=64, validation=16)
    settings = [f"data={data}", f"run.dir={tmp_path}", "run=inline", "inputs.image.size=24", "trainer.loader_workers=0"]
    settings += ["trunk={name: mlp, hidden: [32]}", "trainer.epochs=8", "optimizer.lr=0.01", PLUGIN]
    settings += ["tasks.face_landmarks=null", f"tasks.{MAIN}.role=main"]
    settings += ["tasks.contrastive={weight: 1, crop: 0.8, strength: 0.1}", f"trainer.precision={precision}"]
    rows = [
        row
        for row in read_rows(train("face_landmarks", settings).folder / "metrics.jsonl")
        if row["task"] == "contrastive"
    ]
    losses = [row["value"] for row in rows if (row["split"], row["metric"]) == ("train", "loss")]
    told = [row["value"] for row in rows if (row["split"], row["metric"]) == ("validation", "pair_accuracy")]
    assert losses[-1] < losses[0] - 0.2 and told[-1] > 0.85, (losses, told)
    assert all(value.isfinite().all() for value in last_weights(tmp_path / "face_landmarks").values())


def test_it_stops_like_any_task(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data", train=32, validation=8, test=8)
    stop = "tasks.contrastive.stop={rule: patience, patience: 1, min_delta: 100, action: drop}"
    run = train("genre", [f"data={data}", f"run.dir={tmp_path}", *MELS, *CONTRASTIVE, stop, "trainer.epochs=3"])
    assert run.summary["tasks"]["contrastive"]["stopped"]["epoch"] == 1
