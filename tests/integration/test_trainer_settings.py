"""Clipping, bf16 and saving by the clock, seen from what a run leaves behind."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from descant import train
from descant.errors import RunError
from descant.loop.checkpoints import Checkpoints
from descant.run.log import read_rows
from support import last_weights, mel_data_set

ONE_STEP = ["run=inline", "inputs.mel.crop_frames=24", "trunk={name: mlp, hidden: [8]}", "trainer.steps=1"]


def rows(run: Path, metric: str, task: str | None) -> list[float]:
    """Return the training rows of a metric."""
    told = read_rows(run / "metrics.jsonl")
    return [row["value"] for row in told if (row["split"], row["metric"], row["task"]) == ("train", metric, task)]


@pytest.mark.parametrize("micro_batch", ["null", "5"])
def test_a_clipped_step_of_plain_sgd_is_as_long_as_the_norm_allows(tmp_path: Path, micro_batch: str) -> None:
    data = mel_data_set(tmp_path / "data", train=16)
    common = [f"data={data}", f"run.dir={tmp_path}", *ONE_STEP, f"trainer.micro_batch={micro_batch}"]
    common += ["trainer.batch_size=16", "tasks.genre.dropout=0"]
    start, clipped, free = (
        train("genre", [*common, f"run.name={name}", f"optimizer={{name: sgd, lr: {lr}}}", f"trainer.clip_norm={norm}"])
        for name, lr, norm in (("start", 0, "null"), ("clipped", 1, 0.01), ("free", 1, 1e9))
    )
    before = last_weights(start.folder)

    def step(run: Path) -> torch.Tensor:
        return torch.cat([(value - before[name]).flatten().double() for name, value in last_weights(run).items()])

    short, long = step(clipped.folder), step(free.folder)
    assert float(short.norm()) == pytest.approx(0.01, rel=1e-3)
    (logged,) = rows(clipped.folder, "gradient_norm", None)
    assert float(long.norm()) == pytest.approx(logged, rel=1e-3) and logged > 0.1  # logged before it is clipped
    assert torch.nn.functional.cosine_similarity(short, long, dim=0) == pytest.approx(1.0, abs=1e-3)


def test_bf16_computes_in_bf16_and_keeps_weights_in_fp32(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data", train=64)
    common = [f"data={data}", f"run.dir={tmp_path}", "run=inline", "inputs.mel.crop_frames=24", "trainer.epochs=3"]
    common += ["trunk={name: bilstm, hidden: [8]}", "trainer.log_steps=1", "trainer.batch_size=16"]
    fp32, bf16 = (
        train("genre_reconstruction", [*common, f"run.name={name}", f"trainer.precision={name}"]).folder
        for name in ("fp32", "bf16")
    )
    for task in ("genre", "reconstruction"):
        exact, rounded = rows(fp32, "loss", task), rows(bf16, "loss", task)
        assert len(exact) == len(rounded) == 12
        assert rounded == pytest.approx(exact, rel=0.05) and rounded != pytest.approx(exact, rel=1e-6)
    assert {value.dtype for value in last_weights(bf16).values() if value.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize(("seconds", "saved_step"), [("1.0e-9", 2), ("1000", 0)])
def test_a_run_saves_by_the_clock_within_an_epoch(tmp_path: Path, seconds: str, saved_step: int) -> None:
    """The third batch cannot be learnt from; what was saved before it tells whether the clock had its way."""
    data = mel_data_set(tmp_path / "data", train=64)
    plugin = tmp_path / "failing.py"
    plugin.write_text(
        """
from descant import Classification, register_task

@register_task("failing")
class Failing(Classification):
    label = "genre"
    calls = 0
    def loss(self, output, target):
        self.calls += len(target) == 16  # batches of training; a rehearsal has two rows
        return super().loss(output, target) / (0.0 if self.calls == 3 else 1.0)
"""
    )
    common = [f"data={data}", f"run.dir={tmp_path}", *ONE_STEP, "trainer.steps=4", "trainer.batch_size=16"]
    common += ["trainer.nonfinite_steps=0", "trainer.nonfinite_action=stop"]
    with pytest.raises(RunError, match="the task 'failing' became inf at step 2"):
        train("genre", [*common, f"plugins=[{plugin}]", "tasks.failing.weight=1", f"trainer.checkpoint_s={seconds}"])
    last = Checkpoints(tmp_path / "genre" / "checkpoints").load("last")
    assert (0 if last is None else last.state["progress"]["step"]) == saved_step
    assert last is None or not any(math.isnan(float(value.sum())) for value in last.model.values())
