"""Augmented runs: a stop at any step changes no bit, labels follow mirrored images, what cannot follow is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from descant import train
from descant.errors import UserError
from descant.run.folder import RunFolder
from support import image_data_set, last_weights, mel_data_set, train_with_a_stop

COMMON = ["run=inline", "trainer.epochs=2", "trainer.batch_size=8", "trainer.deterministic=true", "trainer.log_steps=1"]
MELS = [
    "inputs.mel.crop_frames=24",
    "inputs.mel.augment={time_masks: 2, time_width: 6, frequency_masks: 2, frequency_width: 16, gain_db: 6}",
    "trunk.hidden=[8]",
]
IMAGES = [
    "inputs.image.size=16",
    "inputs.image.augment={flip: 0.5, translate: 0.1, scale: [0.9, 1.2], degrees: 20, brightness: 0.3, contrast: 0.3, "
    "noise: 0.02, blur_px: 1.0}",
    "trunk={name: mlp, hidden: [16]}",
    "tasks.face_landmarks=null",
    "tasks.spot.role=main",
    "tasks.shade.weight=0.5",
]
TASKS = '''
from descant import Classification, Landmarks, register_task

@register_task("spot")
class Spot(Landmarks):
    """The two ends of a bright bar."""
    label = "landmarks"
    flip_pairs = {pairs}

@register_task("shade")
class Shade(Classification):
    """How bright the background is."""
    label = "shade"
'''


def plugin(folder: Path, pairs: str) -> str:
    (folder / "spot.py").write_text(TASKS.format(pairs=pairs))
    return f"plugins=[{folder / 'spot.py'}]"


@pytest.mark.parametrize("recipe", ["genre_reconstruction", "face_landmarks"])
def test_a_stopped_run_sees_the_same_augmentation_and_ends_with_the_same_weights(tmp_path: Path, recipe: str) -> None:
    if recipe == "face_landmarks":
        data = image_data_set(tmp_path / "data", train=45)
        overrides = [*IMAGES, plugin(tmp_path, "((0, 1),)")]
    else:
        data = mel_data_set(tmp_path / "data", train=45)
        overrides = MELS
    overrides = [f"data={data}", f"run.dir={tmp_path}", *COMMON, *overrides]
    whole = train(recipe, [*overrides, "run.name=whole"])
    before_step = int(np.random.default_rng().integers(1, 11))
    settings = [*overrides, "run.name=stopped"]
    stopped = train_with_a_stop(recipe, settings, before_step, at_first=["trainer.loader_workers=1"])
    summary = RunFolder(stopped).summary()
    assert summary is not None and summary["resumed"] == 1
    assert summary["data"] == whole.summary["data"] and summary["tasks"] == whole.summary["tasks"]
    ours, theirs = last_weights(stopped), last_weights(whole.folder)
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), f"{name} differs after a stop before step {before_step}"


def test_augmentation_changes_what_is_learnt_and_its_number_of_loaders_does_not(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data", train=24, validation=8)
    overrides = [f"data={data}", f"run.dir={tmp_path}", *COMMON, *MELS, "trainer.epochs=1"]
    runs = {
        "here": "trainer.loader_workers=0",
        "loaders": "trainer.loader_workers=2",
        "plain": "inputs.mel.augment=null",
    }
    here, loaders, plain = (
        last_weights(train("genre", [*overrides, f"run.name={name}", override]).folder)
        for name, override in runs.items()
    )
    assert all(torch.equal(here[name], loaders[name]) for name in here)
    assert not all(torch.equal(here[name], plain[name]) for name in here)


def test_points_whose_sides_are_unknown_are_not_mirrored(tmp_path: Path) -> None:
    data = image_data_set(tmp_path / "data")
    overrides = [f"data={data}", f"run.dir={tmp_path}", *COMMON, *IMAGES, plugin(tmp_path, "None")]
    with pytest.raises(UserError, match="does not say which of its 2 points are exchanged"):
        train("face_landmarks", overrides)
    assert not (tmp_path / "face_landmarks" / "metrics.jsonl").exists()
