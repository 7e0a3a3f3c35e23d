"""Auxiliaries that change the inputs in a way of their own, in whole runs."""

from __future__ import annotations

from pathlib import Path

import torch

from descant import Classification, register_task, train
from descant.loop.batch_norm import GlobalBatchNorm, globalise
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.model import MultiTaskModel
from descant.recipe import compose, parse_recipe
from descant.run.log import read_rows
from support import check_ranks_and_a_resume, image_data_set, last_weights, mel_data_set

MELS = ["run=inline", "inputs.mel.crop_frames=24", "trunk={name: bilstm, hidden: [8], dropout: 0}"]
MELS += ["tasks.genre.dropout=0", "trainer.batch_size=16", "trainer.epochs=2", "trainer.log_steps=1"]


MAIN = "brightness_of_own_views"


@register_task(MAIN)
class Brightness(Classification):
    label = "shade"


def test_a_view_of_its_own_teaches_on_ranks_and_after_a_resume_alike(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data", train=40, validation=8, test=8)
    settings = [
        f"data={data}",
        f"run.dir={tmp_path}",
        *MELS,
        "tasks.frame_order.weight=0.5",
        "tasks.masked={weight: 1, dropout: 0}",
    ]
    check_ranks_and_a_resume("genre", settings, before_step=4)
    rows = list(read_rows(tmp_path / "whole" / "metrics.jsonl"))
    assert {row["metric"] for row in rows if row["task"] == "masked"} >= {"loss", "mean_absolute_error"}
    scored = {row["metric"]: row["samples"] for row in rows if row["task"] == "frame_order" and row["split"] == "test"}
    assert scored == {"loss": 8, "accuracy": 8}


def test_the_main_task_sees_the_inputs_as_they_are(tmp_path: Path) -> None:
    """With its gradient blocked the view of another task changes nothing that the main task learns."""
    data = mel_data_set(tmp_path / "data", train=32, validation=8, test=8)
    settings = [f"data={data}", f"run.dir={tmp_path}", *MELS]
    alone = train("genre", [*settings, "run.name=alone"]).folder
    beside = train("genre", [*settings, "run.name=beside", "tasks.frame_order={weight: 1, gradient: block}"]).folder
    for name, value in last_weights(alone).items():
        assert torch.equal(last_weights(beside)[name], value), name


def test_running_statistics_are_those_of_the_inputs_as_they_are(tmp_path: Path) -> None:
    data = image_data_set(tmp_path / "data", train=16)
    settings = [f"data={data}", "tasks.face_landmarks=null", f"tasks.{MAIN}.role=main"]
    plain = compose("face_landmarks", [*settings, "tasks.rotation.weight=1", "inputs.image.size=24", "trunk=resnet10t"])
    experiment = Experiment.build(parse_recipe(plain))
    models: list[MultiTaskModel] = [experiment.build_model() for _ in range(2)]
    images = torch.randn(8, 1, 24, 24)
    for model, tasks in zip(models, ([MAIN], [MAIN, "rotation"]), strict=True):
        norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        assert norms
        assert all(isinstance(norm, GlobalBatchNorm) for norm in globalise(model, Ranks()))
        views = {"rotation": {"image": 5 * images.rot90(1, (2, 3))}} if "rotation" in tasks else {}
        model.train()
        model({"image": images}, tasks, views)
    for name, value in models[0].named_buffers():
        assert torch.equal(models[1].get_buffer(name), value), name
