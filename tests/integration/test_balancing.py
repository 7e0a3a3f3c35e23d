"""Balancers that read the tasks' gradients, in whole runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from descant import train
from support import last_weights, mel_data_set, train_all_on_ranks, train_with_a_stop

PLUGIN = """
import torch
from descant import Classification, register_task
from descant.balance import Direction, GradientBalancer, GramianBalancer, balancers

@register_task("digit_0")
class DigitZero(Classification):
    label = "digit_0"

@register_task("digit_1")
class DigitOne(Classification):
    label = "digit_1"

@register_task("digit_2")
class DigitTwo(Classification):
    label = "digit_2"


@balancers.register("plain_sum")
class PlainSum(GramianBalancer):
    \"\"\"As without it.\"\"\"

    def weights(self, signals):
        assert len(signals.gramian) == len(signals.losses_P) == len(signals.places_P)
        return torch.ones_like(signals.losses_P)


@balancers.register("plain_direction")
class PlainDirection(GradientBalancer):
    \"\"\"As without it.\"\"\"

    levels = ("representation", "parameter")

    def direction(self, signals, gradients):
        assert signals.gramian.diag().isfinite().all()
        return Direction({name: rows.sum(0) for name, rows in gradients.items()}, torch.ones_like(signals.losses_P))

    def masks(self, signals, sums):
        return [torch.ones_like(each) for each in sums], torch.ones_like(signals.losses_P)


@balancers.register("of_one_norm")
class OfOneNorm(GramianBalancer):
    \"\"\"Each gradient as long as the main task's, smoothed over the steps.\"\"\"

    def __init__(self, tasks):
        super().__init__(tasks)
        self.norms_K = torch.ones(len(tasks), dtype=torch.float64)

    def weights(self, signals):
        assert (signals.gramian.diag() > 0).all(), "a task that no sample of the batch teaches is not there"
        norms_P = signals.gramian.diag().sqrt()
        self.norms_K[signals.places_P] = (self.norms_K[signals.places_P] + norms_P) / 2
        return 1 / self.norms_K[signals.places_P]

    def state_dict(self):
        return {"norms": self.norms_K.clone()}

    def load_state_dict(self, state):
        self.norms_K = state["norms"].clone()
"""


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    """Genre, three fused tasks of which a third of the labels is missing, and a reconstruction of all frames."""

    def labels(number: int, genre: int) -> dict[str, Any]:
        digits = {f"digit_{digit}": genre >> digit & 1 for digit in range(3) if (number + digit) % 3 and number > 7}
        return digits if number % 5 == 4 else {"genre": genre, **digits}

    data = mel_data_set(tmp_path / "data", train=40, validation=16, test=8, labels=labels)
    (tmp_path / "digits.py").write_text(PLUGIN)
    settings = [f"data={data}", f"run.dir={tmp_path}", f"plugins=[{tmp_path / 'digits.py'}]", "run=inline"]
    settings += ["inputs.mel.crop_frames=24", "trunk={name: bilstm, hidden: [8], dropout: 0}", "tasks.genre.dropout=0"]
    settings += ["trainer.batch_size=8", "trainer.epochs=1", "tasks.reconstruction={weight: 2, dropout: 0}"]
    return [
        *settings,
        "optimizer={name: sgd, lr: 0.2, momentum: 0.9}",
        "tasks.digit_1.gradient=-0.5",
        *(f"tasks.digit_{digit}.weight=0.{digit + 3}" for digit in range(3)),
    ]


def close(ours: Path, theirs: Path) -> None:
    expected = last_weights(theirs)
    for name, value in last_weights(ours).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=2e-6, msg=name)


@pytest.mark.parametrize("sharing", ["hard", "{name: soft, strength: 0.1}", "cross_stitch"])
def test_weights_of_one_are_the_plain_sum(tmp_path: Path, overrides: list[str], sharing: str) -> None:
    common = [*overrides, f"sharing={sharing}"]
    plain = train("genre", [*common, "run.name=plain"]).folder
    ways = [
        "plain_sum",
        *(
            f"{{name: plain_{what}, level: {level}}}"
            for what, level in (("sum", "parameter"), ("direction", "parameter"), ("direction", "representation"))
        ),
    ]
    for number, way in enumerate(ways):
        close(train("genre", [*common, f"run.name=cut_{number}", f"balance={way}"]).folder, plain)


def test_any_number_of_ranks_gives_what_one_gives(overrides: list[str]) -> None:
    ways = {
        "each": ["balance=of_one_norm"],
        "seldom": ["balance={name: of_one_norm, every: 2, momentum: 0.5}"],
        "after": ["balance=famo"],
        "parameters": ["balance={name: of_one_norm, level: parameter, momentum: 0.5}"],
        "direction": ["balance=db_mtl"],
        "ahead": ["balance={name: auto_lambda, lr: 0.05}"],
    }
    runs = train_all_on_ranks("genre", {way: [*overrides, *more] for way, more in ways.items()}, (1, 2, 3))
    for way in ways:
        for size in (2, 3):
            close(runs[way][size], runs[way][1])
    first = last_weights(runs["each"][1])
    for way in ways.keys() - {"each"}:
        other = last_weights(runs[way][1])
        assert any(not torch.equal(value, other[name]) for name, value in first.items() if name.startswith("sharing"))


OF_LOSSES = ["si", "famo", "auto_lambda"]
OF_GRADIENTS = ["{name: of_one_norm, level: parameter, normalise: mean}", "graddrop", "db_mtl", "moco"]


@pytest.mark.parametrize("balance", ["{name: of_one_norm, normalise: mean}", *OF_LOSSES, *OF_GRADIENTS])
def test_micro_batches_decide_as_the_whole_step_does(overrides: list[str], balance: str) -> None:
    settings = [*overrides, f"balance={balance}"]
    whole = train("genre", [*settings, "run.name=whole"]).folder
    close(train("genre", [*settings, "run.name=cut", "trainer.micro_batch=3"]).folder, whole)


@pytest.mark.parametrize(
    "balance", ["{name: of_one_norm, every: 2, momentum: 0.5, normalise: initial}", "db_mtl", "moco", "excess_mtl"]
)
def test_a_run_that_goes_on_ends_as_if_it_had_not_been_stopped(overrides: list[str], balance: str) -> None:
    settings = [*overrides, f"balance={balance}"]
    whole = last_weights(train("genre", [*settings, "run.name=whole"]).folder)
    again = last_weights(train_with_a_stop("genre", [*settings, "run.name=again"], 3))
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


@pytest.mark.parametrize("level", ["representation", "parameter"])
def test_heads_learn_of_their_own_losses_and_the_trunk_of_all_of_them_in_half_precision_too(
    overrides: list[str], level: str
) -> None:
    settings = [*overrides, "trainer.steps=1", "trainer.precision=bf16"]
    plain = last_weights(train("genre", [*settings, "run.name=plain"]).folder)
    even = last_weights(
        train("genre", [*settings, f"balance={{name: of_one_norm, level: {level}}}", "run.name=even"]).folder
    )
    for name, value in plain.items():
        if name.startswith("sharing."):
            assert not torch.equal(even[name], value), name
        else:
            torch.testing.assert_close(even[name], value, rtol=1e-2, atol=1e-4, msg=name)
