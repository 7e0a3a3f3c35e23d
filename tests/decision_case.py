"""What stop rules decide on ranks that see other losses: run by processes that gloo joins."""

from __future__ import annotations

from descant.loop.evaluate import Scores
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.loop.stopping import Stopping
from descant.recipe import compose, parse_recipe

CURVES = ([3.0, 2.0, 1.0, 1.5, 1.5], [3.0, 3.5, 1.0, 0.5, 0.4], [1.0, 2.0, 3.0, 4.0, 5.0])
"""By rank. With patience 1 the first one alone stops at epoch 3, the second at 1, the third at 1 too but not again."""


def decided(data: str, curves: list[list[float]], rank: int, world_size: int) -> list[tuple[list[str], float]]:
    """Return after each evaluation which tasks train, and the loss that the rule stopped at (0 while it trains)."""
    stop = "tasks.reconstruction.stop={rule: patience, patience: 1, revive: 0.1}"
    settings = [f"data={data}", "inputs.mel.crop_frames=16", "trainer.batch_size=8", stop]
    experiment = Experiment.build(parse_recipe(compose("genre_reconstruction", settings)))
    stopping, model = Stopping(experiment, Ranks(rank, world_size)), experiment.build_model()
    found = []
    for epoch, loss in enumerate(curves[rank]):
        values = {
            "genre": {"loss": 1.0, "accuracy": 0.5},
            "reconstruction": {"loss": loss, "mean_absolute_error": loss},
        }
        (decision,) = stopping.decide(epoch, Scores(values, {}, 0), dict.fromkeys(experiment.tasks, 1.0), model)
        found.append((stopping.active, decision.measure or 0.0))
    return found
