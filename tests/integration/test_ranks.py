"""N workers give the gradients and the metrics that one worker gives, for the same global batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from descant.loop.checkpoints import Checkpoints
from descant.loop.experiment import Experiment
from descant.recipe import parse_recipe
from descant.run.folder import RunFolder
from descant.run.log import read_rows
from support import image_data_set, mel_data_set, train_on_ranks

SGD = ["optimizer={name: sgd, lr: 0.5}", "trainer.epochs=1", "trainer.batch_size=16", "trainer.log_steps=1"]
SHADE = """
from descant import Classification, register_task

@register_task("shade_on_ranks")
class Shade(Classification):
    \"\"\"How bright the ground is.\"\"\"
    label = "shade"
    classes = ("black", "dark", "grey", "light")
"""


def uneven(number: int, genre: int) -> dict[str, Any]:
    """Leave out labels such that the ranks' slices hold different numbers of them, and one batch holds none."""
    return {"genre": genre} if number % 5 == 0 or number % 16 < 7 else {"genre": None}


def weights(run: Path) -> dict[str, torch.Tensor]:
    (folder,) = {path.parent for path in run.glob("checkpoints/step-*/model.safetensors")}
    return load_file(folder / "model.safetensors")


def rows(run: Path, split: str) -> list[tuple[Any, ...]]:
    return [
        (row["epoch"], row["task"], row["metric"], row["value"], row["samples"])
        for row in read_rows(run / "metrics.jsonl")
        if row["split"] == split and row["task"] is not None
    ]


def test_gradients_are_those_of_one_worker_with_uneven_labels(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data", train=53, labels=uneven)
    overrides = [
        f"data={data}",
        f"run.dir={tmp_path}",
        "inputs.mel.crop_frames=32",
        "trunk.dropout=0",
        "tasks.genre.dropout=0",
        "tasks.reconstruction.dropout=0",
        *SGD,
    ]
    runs = train_on_ranks("genre_reconstruction", overrides, (1, 2, 3))
    one = weights(runs[1])
    for n in (2, 3):
        for name, value in weights(runs[n]).items():
            torch.testing.assert_close(value, one[name], rtol=1e-4, atol=2e-6, msg=f"{name} on {n} workers")
        for ours, theirs in zip(rows(runs[n], "train"), rows(runs[1], "train"), strict=True):
            assert ours[:3] == theirs[:3] and ours[4] == theirs[4]
            assert ours[3] == pytest.approx(theirs[3], rel=1e-4)


def test_gradients_through_batch_normalisation_are_those_of_one_worker(tmp_path: Path) -> None:
    data = image_data_set(tmp_path / "data")
    plugin = tmp_path / "shade_task.py"
    plugin.write_text(SHADE)
    overrides = [f"data={data}", f"run.dir={tmp_path}", f"plugins=[{plugin}]", "tasks.shade_on_ranks.weight=0.5", *SGD]
    # One step of 16 samples over three ranks, two rows being fillers. The trunk is smooth: of a million units with a
    # threshold one has an input that is zero but for rounding, and is on with one number of ranks, off with another.
    overrides += ["inputs.image.size=24", "inputs.image.augment=null", "trainer.steps=1", "trunk=tinynet_e"]
    overrides += ["tasks.face_landmarks.weight=1", "tasks.face_landmarks.hidden=[128]"]  # rounding grows with weights
    runs = train_on_ranks("face_landmarks", overrides, (1, 3))
    one = weights(runs[1])
    for name, value in weights(runs[3]).items():
        torch.testing.assert_close(
            value, one[name], rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_metrics_are_identical_on_any_number_of_ranks(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data", train=16, validation=33, test=5, labels=uneven)
    overrides = [f"data={data}", f"run.dir={tmp_path}", "inputs.mel.crop_frames=32", *SGD, "optimizer.lr=0"]
    runs = train_on_ranks("genre_reconstruction", overrides, (1, 2, 3))
    for split in ("validation", "test"):
        assert rows(runs[1], split)
        assert rows(runs[1], split) == rows(runs[2], split) == rows(runs[3], split)


BALANCER = """
import torch
from descant.balance import LossBalancer, balancers

@balancers.register("inverse")
class Inverse(LossBalancer):
    \"\"\"Every task's loss counts as one, smoothed over the steps.\"\"\"

    def __init__(self, tasks):
        super().__init__(tasks)
        self.mean_K = torch.ones(len(tasks), dtype=torch.float64)

    def weights(self, signals):
        self.mean_K[signals.places_P] = (self.mean_K[signals.places_P] + signals.losses_P) / 2
        return 1 / self.mean_K[signals.places_P]

    def state_dict(self):
        return {"mean": self.mean_K}

    def load_state_dict(self, state):
        self.mean_K = state["mean"]
"""


def test_a_balancer_decides_alike_on_all_ranks_also_over_a_trunk_that_no_gradient_reaches(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data", train=53, labels=uneven)
    plugin = tmp_path / "inverse.py"
    plugin.write_text(BALANCER)
    overrides = [f"data={data}", f"run.dir={tmp_path}", f"plugins=[{plugin}]", "inputs.mel.crop_frames=32", *SGD]
    overrides += ["trunk.dropout=0", "tasks.genre.dropout=0", "tasks.reconstruction.dropout=0", "balance=inverse"]
    overrides += ["tasks.genre.gradient=block", "tasks.reconstruction.gradient=block"]
    runs = train_on_ranks("genre_reconstruction", overrides, (1, 3))
    one, three = (Checkpoints(runs[size] / "checkpoints").load("last") for size in (1, 3))
    assert one is not None and three is not None
    means = [saved.state["balance"]["balancer"]["mean"] for saved in (three, one)]
    torch.testing.assert_close(*means, rtol=1e-4, atol=1e-6)
    assert len(set(means[1].tolist())) == 2
    start = Experiment.build(parse_recipe(RunFolder(runs[1]).read_recipe())).build_model().state_dict()
    for name, value in three.model.items():
        torch.testing.assert_close(value, one.model[name], rtol=1e-4, atol=2e-6, msg=name)
        assert torch.equal(value, start[name]) == name.startswith("sharing."), name
