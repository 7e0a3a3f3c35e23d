"""A tiny recipe to tune, and studies of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descant.data.description import describe
from support import mel_data_set

RECIPE = """\
# Genre with reconstruction, of seconds
defaults: [genre_reconstruction, _self_]
data: {data}
inputs: {{mel: {{crop_frames: 32, views: 1}}}}
trunk: {{name: bilstm, hidden: [8]}}
tasks:
  genre: {{hidden: [8]}}
  reconstruction: {{weight: 1.0}}
trainer: {{epochs: 4, batch_size: 16, loader_workers: 0}}
optimizer: {{name: adam, lr: 5.0e-3}}
tune:
  space:
    tasks.reconstruction.weight: {{loguniform: [0.01, 100]}}
    optimizer.lr: {{loguniform: [1.0e-4, 0.1]}}
"""


def tiny_recipe(folder: Path) -> Path:
    """Write a data set and a recipe of it whose trials train for seconds; return the recipe."""
    data = mel_data_set(folder / "mels", train=48, validation=24, test=8, frames=40)
    describe(data).write(data)  # as 'descant pack' does
    path = folder / "tiny.yaml"
    path.write_text(RECIPE.format(data=data))
    return path


def study_of(folder: Path) -> dict[str, Any]:
    """Return the ``study.json`` of a study's folder."""
    content: dict[str, Any] = json.loads((folder / "study.json").read_text())
    return content


def record_of(trial: Path) -> Mapping[str, Any]:
    """Return the ``trial.json`` of a trial's folder."""
    content: Mapping[str, Any] = json.loads((trial / "trial.json").read_text())
    return content
