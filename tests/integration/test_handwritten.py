"""The loss curve of a run equals that of a loop written by hand, on the same batches, seed and initial weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from descant import train
from descant.data.order import step_seed
from descant.loop.batches import BatchMaker
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.recipe import compose, parse_recipe
from descant.run.log import read_rows
from support import mel_data_set

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from handwritten import GenreNet, copy_weights, step

LR = 1e-3
OVERRIDES = [
    "inputs.mel.crop_frames=48",
    "trainer.epochs=3",
    "trainer.batch_size=16",
    "trainer.log_steps=1",
    f"optimizer.lr={LR}",
]


@pytest.mark.parametrize("weight", [0.0, 10.0])
def test_the_loss_curve_is_that_of_a_handwritten_loop(tmp_path: Path, weight: float) -> None:
    data = mel_data_set(tmp_path / "data", train=53)
    recipe = "genre_reconstruction" if weight else "genre"
    overrides = [f"data={data}", f"run.dir={tmp_path}", "run=inline", *OVERRIDES]
    run = train(recipe, overrides)
    ours = [
        row["value"]
        for row in read_rows(run.folder / "metrics.jsonl")
        if (row["split"], row["task"], row["metric"]) == ("train", "genre", "loss")
    ]
    by_hand = _by_hand(recipe, overrides, weight)
    assert len(ours) == len(by_hand) == 12
    assert ours == pytest.approx(by_hand, abs=1e-6)


def _by_hand(recipe: str, overrides: list[str], weight: float) -> list[float]:
    experiment = Experiment.build(parse_recipe(compose(recipe, overrides)))
    reader = experiment.reader("train")
    order = experiment.order(reader, Ranks())
    maker = BatchMaker(reader, order, experiment.inputs, experiment.tasks)
    net = GenreNet()
    copy_weights(net, experiment.build_model().state_dict())
    optimizer = torch.optim.Adam(net.parameters(), lr=LR)
    losses = []
    for number, place in enumerate(order.walk(0, 0, 3 * order.batches)):
        batch = maker.make(*place)
        torch.manual_seed(step_seed(0, number, 0))
        main, _ = step(net, optimizer, batch.arrays["mel"]["value"], batch.targets["genre"], weight)
        losses.append(float(main))
    return losses
