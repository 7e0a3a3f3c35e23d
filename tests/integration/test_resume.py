"""A run that was stopped and taken up again ends with the weights of one that never stopped, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from descant import train
from descant.errors import RunError, UserError
from descant.run.folder import RunFolder
from descant.run.log import read_rows
from support import last_weights, mel_data_set, train_with_a_stop

SMALL = ["run=inline", "inputs.mel.crop_frames=24", "trunk.hidden=[8]", "trainer.batch_size=16", "trainer.log_steps=1"]
SCHEDULED = ["tasks.reconstruction.weight={schedule: linear_floor}", "optimizer.lr={schedule: cosine, start: 0.01}"]


@pytest.mark.parametrize("before_step", [3, 4])
def test_a_resumed_run_has_the_same_weights(tmp_path: Path, before_step: int) -> None:
    data = mel_data_set(tmp_path / "data", train=53)
    overrides = [f"data={data}", f"run.dir={tmp_path}", "trainer.epochs=3", "trainer.micro_batch=6", *SMALL, *SCHEDULED]
    whole = train("genre_reconstruction", [*overrides, "run.name=whole"])
    stopped = train_with_a_stop("genre_reconstruction", [*overrides, "run.name=stopped"], before_step)
    ours, theirs = last_weights(stopped), last_weights(whole.folder)
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name
    summary = RunFolder(stopped).summary()
    assert summary is not None
    assert summary["resumed"] == 1 and whole.summary["resumed"] == 0
    assert summary["data"] == whole.summary["data"] and summary["tasks"] == whole.summary["tasks"]
    assert [*losses(stopped)] == [*losses(whole.folder)]


def losses(run: Path) -> list[tuple[int, str, float]]:
    """Return every step's losses, which a resume neither repeats nor loses."""
    return [
        (row["step"], row["task"], row["value"])
        for row in read_rows(run / "metrics.jsonl")
        if row["split"] == "train" and row["metric"] == "loss"
    ]


def test_micro_batches_give_the_gradients_of_whole_batches(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data", train=48)
    overrides = [f"data={data}", f"run.dir={tmp_path}", "trainer.epochs=1", *SMALL, "trunk.dropout=0"]
    overrides += ["optimizer={name: sgd, lr: 0.5}", "tasks.genre.dropout=0", "tasks.reconstruction.dropout=0"]
    whole, parts = (
        last_weights(train("genre_reconstruction", [*overrides, f"run.name={name}", micro]).folder)
        for name, micro in (("whole", "trainer.micro_batch=null"), ("parts", "trainer.micro_batch=5"))
    )
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-6)


def test_a_finished_run_is_not_trained_again_and_another_recipe_is_refused(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data")
    overrides = [f"data={data}", f"run.dir={tmp_path}", "trainer.epochs=1", *SMALL]
    run = train("genre", overrides)
    before = (run.folder / "metrics.jsonl").read_bytes()
    assert train("genre", overrides).summary == run.summary
    assert (run.folder / "metrics.jsonl").read_bytes() == before
    with pytest.raises(UserError, match=r"trainer.epochs: 1 → 2.*run.name.*resume=true"):
        train("genre", [*overrides, "trainer.epochs=2"])
    longer = train("genre", [*overrides, "trainer.epochs=2", "resume=true"])
    assert longer.summary["data"]["passes"] == pytest.approx(2.0) and longer.summary["resumed"] == 1


AT_ONCE = ["trainer.nonfinite_steps=0", "trainer.nonfinite_action=stop"]


def test_a_loss_that_is_not_finite_names_task_step_and_samples(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data")
    plugin = tmp_path / "exploding.py"
    plugin.write_text(
        """
import torch
from descant import Classification, register_task

@register_task("exploding")
class Exploding(Classification):
    \"\"\"Its loss is infinite from genre 3 on.\"\"\"
    label = "genre"
    def loss(self, output, target):
        return torch.where(target >= 3, torch.inf, super().loss(output, target))
"""
    )
    overrides = [f"data={data}", f"run.dir={tmp_path}", "trainer.epochs=1", *SMALL, f"plugins=[{plugin}]"]
    with pytest.raises(RunError, match=r"task 'exploding' became inf at step 0 on the samples 'train000"):
        train(
            "genre",
            [*overrides, *AT_ONCE, "tasks.exploding.weight=1"],
        )
    summary = RunFolder(tmp_path / "genre").summary()
    assert summary is not None and summary["status"] == "failed" and "exploding" in summary["error"]
