"""Run folders by the run contract without a training run, and a command that makes them as ``descant train`` does.

As a command: ``python stand_in.py RECIPE key=value …``; the key ``behaviour`` makes it fail, refuse, or wait.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

Metrics = dict[str, dict[str, dict[str, float]]]  # task -> split -> metric -> value
DIRECTIONS = {"loss": "min", "accuracy": "max", "l1": "min"}


def genre_recipe(weight: float = 10.0, seed: int = 0, epochs: int = 12) -> dict[str, Any]:
    """Return a resolved recipe of two tasks."""
    return {
        "data": "data/music",
        "seed": seed,
        "tasks": {
            "genre": {"role": "main", "weight": 1.0},
            "reconstruction": {"role": "auxiliary", "weight": weight},
        },
        "trainer": {"epochs": epochs, "batch_size": 32},
        "run": {"name": "x", "dir": "runs"},
    }


def write_run(folder: Path, recipe: dict[str, Any], status: str = "finished", test: bool = True) -> Path:
    """Write a run whose accuracy climbs with noise from the seed; a weight above zero lifts it a little."""
    folder.mkdir(parents=True, exist_ok=True)
    epochs, seed = recipe["trainer"]["epochs"], recipe["seed"]
    weight = recipe["tasks"]["reconstruction"]["weight"]
    rows, final = _rows(epochs, weight, random.Random(seed), random.Random(f"{seed} {weight}"))
    best = max(range(epochs), key=lambda epoch: final[epoch]["genre"]["accuracy"])
    rows += [
        _row(best, "test", task, name, value - 0.01)
        for task in final[best]
        for name, value in final[best][task].items()
    ]
    with (folder / "metrics.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    (folder / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    (folder / "environment.json").write_text(json.dumps({"python": "3.11", "torch": "2.11", "seed": seed}))
    tasks = {
        task: {
            "role": recipe["tasks"][task]["role"],
            "best": metrics,
            "test": {name: value - 0.01 for name, value in metrics.items()} if test else None,
            "directions": {name: DIRECTIONS[name] for name in metrics},
            "chance": {"accuracy": 0.125} if task == "genre" else {},
            "stopped": None,
        }
        for task, metrics in final[best].items()
    }
    main = {"task": "genre", "metric": "accuracy", "value": final[best]["genre"]["accuracy"], "epoch": best}
    data = {"consumed": 202 * epochs, "quarantined": 0, "passes": float(epochs)}
    cost = {"resumed": 0, "throughput_samples_s": 41.5 + seed - weight / 10, "wall_s": 58.0 + seed + weight / 5}
    summary = {"status": status, "main": main, "tasks": tasks, "data": data, **cost}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def _rows(
    epochs: int, weight: float, shared: random.Random, own: random.Random
) -> tuple[list[dict[str, Any]], list[dict[str, dict[str, float]]]]:
    rows, final = [], []
    talent = shared.gauss(0, 0.03)
    for epoch in range(epochs):
        grown = 1 - math.exp(-3 * (epoch + 1) / epochs)
        accuracy = 0.125 + grown * (0.33 + talent + (0.05 if weight else 0.0)) + own.gauss(0, 0.012)
        l1 = (0.12 if weight else 0.55) + 0.4 * (1 - grown) + own.gauss(0, 0.005)
        values = {"genre": {"loss": 2.3 - grown + own.gauss(0, 0.03), "accuracy": accuracy},
                  "reconstruction": {"loss": l1, "l1": l1}}  # fmt: skip
        for part in range(2):
            step = epoch * 6 + part * 3
            for task, task_weight in (("genre", 1.0), ("reconstruction", weight)):
                rows.append(_row(epoch, "train", task, "loss", values[task]["loss"] * 0.9, step))
                rows.append(_row(epoch, "train", task, "weight", task_weight, step))
            rows.append(_row(epoch, "train", None, "data_wait_share", 0.04, step))
        rows += [_row(epoch, "validation", task, name, v) for task in values for name, v in values[task].items()]
        final.append(values)
    return rows, final


def _row(
    epoch: int, split: str, task: str | None, metric: str, value: float, step: int | None = None
) -> dict[str, Any]:
    step = epoch * 6 + 5 if step is None else step
    return {"time": 0.0, "epoch": epoch, "step": step, "split": split, "task": task, "metric": metric, "value": value,
            "samples": 48}  # fmt: skip


def _train(arguments: list[str]) -> int:
    options = dict(argument.split("=", 1) for argument in arguments)
    folder = Path(options["run.dir"].strip("'")) / options["run.name"]
    recipe = genre_recipe(float(options.get("tasks.reconstruction.weight", 0)), int(options["seed"]), epochs=3)
    behaviour = options.get("behaviour", "good")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "starts.txt").open("a") as file:
        file.write(f"threads {os.environ['OMP_NUM_THREADS']}\n")
    if behaviour == "refuse":
        print("the key 'tasks.recon' is unknown: did you mean 'tasks.reconstruction'?", file=sys.stderr)
        return 2
    if behaviour == "fail-seed-1" and recipe["seed"] == 1 and not (folder / "mended").exists():
        print("RunError: the loss of genre became NaN at step 7", file=sys.stderr)
        print("checkpoints are kept", file=sys.stderr)
        return 1
    if behaviour == "wait":
        _wait(folder, recipe)
    write_run(folder, recipe)
    return 0


def _wait(folder: Path, recipe: dict[str, Any]) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        write_run(folder, recipe, status="interrupted")
        sys.exit(130)

    signal.signal(signal.SIGINT, stop)
    (folder / "waiting").touch()
    time.sleep(60)


if __name__ == "__main__":
    sys.exit(_train(sys.argv[2:]))
