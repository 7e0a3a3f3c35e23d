"""What the engine adds to a training step: our step against the hand-written one, on the same batches.

Steps alternate, so that whatever else the machine does meets both; CPU time, not wall time; medians.

    python benchmarks/step_overhead.py DATA [--steps 60]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from handwritten import GenreNet, copy_weights, step
from machine import cpu_ms, save

from descant.loop.batches import BatchMaker
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.loop.record import Record
from descant.loop.train import Training
from descant.recipe import compose, parse_recipe
from descant.run.folder import RunFolder

WEIGHT = 10.0
WARM_UP = 5


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="a data set packed by 'descant pack fma --mels'")
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(args.data, args.steps, Path(folder))
    print(result)
    print(f"saved in {save('step_overhead', result)}")


def measure(data: str, steps: int, folder: Path) -> dict[str, Any]:
    """Return medians in ms and the ratio of our CPU time per step to the hand-written loop's."""
    recipe = parse_recipe(compose("genre_reconstruction", [f"data={data}", "trainer.log_steps=1000000"]))
    experiment = Experiment.build(recipe)
    training = Training(experiment, RunFolder(folder), Ranks(), lambda: False)
    training.record = Record(experiment, RunFolder(folder), training.progress, writes=True, world_size=1)
    training.record.start(training.progress, steps, training.order, training.stopping)
    training._begin_epoch()
    maker = BatchMaker(training.reader, training.order, experiment.inputs, experiment.tasks)
    batches = [maker.make(0, number) for number in range(training.order.batches - 1)]
    net = GenreNet()
    copy_weights(net, experiment.build_model().state_dict())
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    ours_ms, theirs_ms = [], []
    for number in range(WARM_UP + steps):
        batch = batches[number % len(batches)]
        mel, genre = batch.arrays["mel"]["value"], batch.targets["genre"]
        pair = (
            (ours_ms, lambda batch=batch: _ours(training, batch)),
            (theirs_ms, lambda mel=mel, genre=genre: step(net, optimizer, mel, genre, WEIGHT)),
        )
        for times_ms, run in pair if number % 2 else reversed(pair):
            times_ms.append(cpu_ms(run))
    ours, theirs = (statistics.median(times[WARM_UP:]) for times in (ours_ms, theirs_ms))
    pairs = [a / b for a, b in zip(ours_ms[WARM_UP:], theirs_ms[WARM_UP:], strict=True)]
    return {
        "ours_ms": round(ours, 2),
        "handwritten_ms": round(theirs, 2),
        "ratio": round(statistics.median(pairs), 4),
        "quartiles": [round(quartile, 4) for quartile in statistics.quantiles(pairs, n=4)],
        "steps": steps,
        "batch_size": recipe.trainer.batch_size,
        "torch": torch.__version__,
    }


def _ours(training: Training, batch: Any) -> None:
    """Everything the loop does for a step once the batch is there."""
    beat = training.pulse.beat(batch, training.quarantine.add(batch.bad))
    training.quarantine.check(beat.bad)
    training.stepper.take(training.progress.step, batch, beat, training.weights_K)
    training.stepper.update(any(beat.counts_K), measure=False)
    training.meter.add_step(beat.counts_K, len(batch.keys), 0.0)


if __name__ == "__main__":
    main()
