"""What tasks cost that have stopped: a step of landmarks alone, with four auxiliaries, and after all four stopped.

    python benchmarks/stopped_tasks.py DATA [--steps 60] [--sharing hard] [--save]

prints one line of JSON: medians of the CPU time in ms of reading and decoding a batch and of its step, the three ways
alternating, one thread; and the medians of the pairs' ratios to landmarks alone. Wanted is at most 1.03 once all have
stopped, for schemes that leave the main task a path of its own (``hard``, ``soft``, ``mmoe``, ``mtan``, ``adapters``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from machine import cpu_ms, save

from descant.loop.batches import BatchMaker
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.loop.record import Record
from descant.loop.train import Training
from descant.recipe import compose, parse_recipe
from descant.run.folder import RunFolder

MAIN = "face_landmarks"
WARM_UP = 5


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="a data set packed by 'descant pack mtfl'")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--sharing", default="hard")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(arguments.data, arguments.steps, arguments.sharing, Path(folder))
    print(json.dumps(result))
    if arguments.save:
        save(f"stopped_tasks {arguments.sharing}", result)


def measure(data: str, steps: int, sharing: str, folder: Path) -> dict[str, Any]:
    """Return the numbers; units are in their names."""
    settings = [f"data={data}", f"sharing={sharing}", "trainer.log_steps=1000000"]
    ways = {
        "alone": way("face_landmarks", settings, folder / "alone"),
        "together": way("face_landmarks_auxiliary", settings, folder / "together"),
        "stopped": way("face_landmarks_auxiliary", settings, folder / "stopped", only=[MAIN]),
    }
    times_ms: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(WARM_UP + steps):
        for name, step in list(ways.items())[:: 1 if number % 2 else -1]:
            times_ms[name].append(cpu_ms(step))
    warm = {name: times[WARM_UP:] for name, times in times_ms.items()}
    ratios = {
        name: [one / alone for one, alone in zip(warm[name], warm["alone"], strict=True)]
        for name in ("together", "stopped")
    }
    return {
        **{f"{name}_ms": round(statistics.median(times), 2) for name, times in warm.items()},
        **{f"{name}_over_alone": round(statistics.median(found), 3) for name, found in ratios.items()},
        "stopped_quartiles": [round(quartile, 3) for quartile in statistics.quantiles(ratios["stopped"], n=4)],
        "steps": steps,
    }


def way(recipe: str, settings: list[str], folder: Path, only: list[str] | None = None) -> Callable[[], None]:
    """Return all that the loop does for a batch and its step, with ``only`` these tasks if some have stopped."""
    folder.mkdir()
    experiment = Experiment.build(parse_recipe(compose(recipe, settings)))
    run = RunFolder(folder)
    training = Training(experiment, run, Ranks(), lambda: False)
    training.record = Record(experiment, run, training.progress, writes=True, world_size=1)
    training.record.start(training.progress, 1, training.order, training.stopping)
    training._begin_epoch()
    if only is not None:
        training.stepper.train_only(only)
        experiment = experiment.only(only)
    maker = BatchMaker(training.reader, training.order, experiment.inputs, experiment.tasks)
    places = cycle(range(training.order.batches - 1))

    def step() -> None:
        batch = maker.make(0, next(places))
        beat = training.pulse.beat(batch, training.quarantine.add(batch.bad))
        training.quarantine.check(beat.bad)
        training.stepper.take(training.progress.step, batch, beat, training.weights_K)
        training.stepper.update(any(beat.counts_K), measure=False)
        training.meter.add_step(beat.counts_K, len(batch.keys), 0.0)

    return step


if __name__ == "__main__":
    main()
