"""Ranks are killed twenty times, and each start has another number of ranks and loaders: nothing is lost or doubled.

What counts is what the loop consumed: each step's keys, as its ranks wrote them down after the optimizer step. A step
that was trained again after a kill counts as it was last trained, since the weights of the time before are gone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from descant.cli.main import main
from descant.launch.prepare import prepare
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.run.request import RunRequest
from faults.killing import consumed_log
from support import mel_data_set

WORLDS = [2, 1, 3, 2]
LOADERS = [0, 1, 2]


def survive(tmp_path: Path, recipe: str, overrides: list[str], reach: int) -> tuple[Experiment, list[list[str]], int]:
    """Train with twenty kills; return the experiment, each step's keys in global order, and the number of kills."""
    launch = prepare(recipe, [*overrides, f"run.dir={tmp_path}", "run=inline"])
    requests = [with_loaders(launch.request, workers).to_json() for workers in LOADERS]
    arguments = tmp_path / "arguments.json"
    arguments.write_text(json.dumps({"requests": requests, "worlds": WORLDS, "kills": 20, "reach": reach, "seed": 0}))
    command = [sys.executable, str(Path(__file__).with_name("killing.py")), str(arguments)]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in consumed_log(launch.folder.path).read_text().splitlines()]
    last = {step: attempt for attempt, step, _, _ in sorted(rows)}
    steps: list[list[str]] = []
    for step in sorted(last):
        assert step == len(steps), "every step was taken"
        parts = sorted((rank, keys) for attempt, number, rank, keys in rows if (attempt, number) == (last[step], step))
        assert len(parts) == WORLDS[last[step] % len(WORLDS)], "all ranks took it"
        steps.append([key for _, keys in parts for key in keys])
    return Experiment.build(launch.recipe), steps, json.loads(done.stdout)["kills"]


def with_loaders(request: RunRequest, workers: int) -> RunRequest:
    recipe: dict[str, Any] = {**request.recipe, "trainer": {**request.recipe["trainer"], "loader_workers": workers}}
    return RunRequest(recipe, request.folder, request.plugins)


def check_nothing_is_lost_or_doubled(experiment: Experiment, steps: list[list[str]], epochs: int) -> None:
    reader = experiment.reader("train")
    order = experiment.order(reader, Ranks())
    assert len(steps) == epochs * order.batches
    for epoch in range(epochs):
        taken = steps[epoch * order.batches : (epoch + 1) * order.batches]
        seen = Counter(key for keys in taken for key in keys)
        assert seen == Counter(reader.name_of(sample)[1] for sample in range(len(reader)))
        for batch, keys in enumerate(taken):
            expected = [reader.name_of(int(sample))[1] for sample in order.slice(epoch, batch).samples]
            assert keys == expected, f"epoch {epoch}, batch {batch}: the order of one rank that was never disturbed"


def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    data = mel_data_set(tmp_path / "data", train=331, validation=8, test=8, frames=20, bands=16)
    overrides = [f"data={data}", "inputs.mel.crop_frames=16", "inputs.mel.bands=16", "trunk.hidden=[4]"]
    overrides += ["trainer.epochs=4", "trainer.batch_size=7", "trainer.checkpoint_steps=3"]
    experiment, steps, kills = survive(tmp_path, "genre", overrides, reach=12)
    assert kills == 20
    check_nothing_is_lost_or_doubled(experiment, steps, epochs=4)


@pytest.mark.slow
def test_twenty_kills_over_an_epoch_of_real_faces(tmp_path: Path, test_data: Path) -> None:
    data = tmp_path / "faces"
    assert main(["pack", "mtfl", str(test_data / "mtfl.tar"), str(data), "--size", "40"]) == 0
    overrides = [f"data={data}", "inputs.image.size=40", "trunk=mlp", "trunk.hidden=[8]", "trainer.epochs=1"]
    overrides += ["trainer.batch_size=64", "trainer.checkpoint_steps=4"]
    experiment, steps, kills = survive(tmp_path, "face_landmarks", overrides, reach=12)
    assert kills == 20
    check_nothing_is_lost_or_doubled(experiment, steps, epochs=1)
