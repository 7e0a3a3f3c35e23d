"""Parts of a task that stop one by one: the loss over those that train, and when which stops, by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from descant import BinaryAttributes, register_task
from descant.data.batch import Batch
from descant.data.description import Field
from descant.errors import UserError
from descant.loop.checks import check
from descant.loop.evaluate import Scores
from descant.loop.experiment import Experiment
from descant.loop.objective import Objective
from descant.loop.ranks import Ranks
from descant.loop.stopping import Stopping
from descant.outputs import Outputs
from descant.recipe import compose, parse_recipe
from descant.schedules import Constant
from support import mel_data_set

NAN = math.nan
NAMES = ("smile", "hat", "beard")


@register_task("traits_by_part")
class Traits(BinaryAttributes):
    label = "traits"
    attributes = NAMES


class TestLoss:
    output = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.5, -0.5], [0.1, 0.2, 0.3], [-2.0, 1.0, 0.0]])
    target = torch.tensor([[1.0, 0.0, 1.0], [0.0, NAN, 1.0], [1.0, 1.0, 0.0], [NAN, NAN, 1.0]])
    partner = torch.tensor([[0.0, 1.0, NAN], [0.0, NAN, 1.0], [1.0, 0.0, 1.0], [1.0, 0.0, 1.0]])
    present = torch.tensor([True, True, False, True])

    def losses(self, trains: list[bool], partner: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the losses of the samples, the gradient of the outputs, and the totals of the parts."""
        task = Traits("t", {"traits": Field("number", shape=(3,))}, {})
        objective = Objective({"t": task}, {"t": Constant(1.0)})
        objective.train_parts({"t": trains}, torch.device("cpu"))
        everyone = torch.ones(4, dtype=torch.bool)
        other = Batch(list("abcd"), {}, {"t": self.partner}, {"t": everyone}, everyone) if partner else None
        share = torch.tensor([0.25, 1.0, 1.0, 0.5]) if partner else None
        batch = Batch(list("abcd"), {}, {"t": self.target}, {"t": self.present}, everyone, partner=other, share_B=share)
        output = self.output.clone().requires_grad_()
        found = objective.losses(Outputs({"t": output}), batch, {})
        (gradient,) = torch.autograd.grad(found.sums_K.sum(), output)
        return found.per_sample["t"], gradient, found.parts["t"]

    def one(self, row: int, place: int, target: torch.Tensor) -> float:
        z = float(self.output[row, place])
        return math.log(1 + math.exp(-z if target[row, place] == 1 else z))

    def test_it_is_over_the_number_of_known_parts_whichever_train(self) -> None:
        def one(row: int, place: int) -> float:
            return self.one(row, place, self.target)

        whole, gradient, totals = self.losses([True] * 3)
        expected = [sum(one(0, place) for place in range(3)) / 3, (one(1, 0) + one(1, 2)) / 2, 0.0, one(3, 2)]
        torch.testing.assert_close(whole, torch.tensor(expected))
        torch.testing.assert_close(totals[1], torch.tensor([2.0, 1.0, 3.0]))
        torch.testing.assert_close(totals[0, 2], torch.tensor(one(0, 2) + one(1, 2) + one(3, 2)))
        some, left, same = self.losses([True, False, False])
        torch.testing.assert_close(some, torch.tensor([one(0, 0) / 3, one(1, 0) / 2, 0.0, 0.0]))
        assert torch.equal(left[:, 0], gradient[:, 0]) and (left[:, 1:] == 0).all() and torch.equal(same, totals)

    def test_a_mixed_sample_has_both_labels_in_proportion(self) -> None:
        found, _, totals = self.losses([True, True, False], partner=True)
        own = (self.one(0, 0, self.target) + self.one(0, 1, self.target)) / 3
        other = (self.one(0, 0, self.partner) + self.one(0, 1, self.partner)) / 2
        assert float(found[0]) == pytest.approx(0.25 * own + 0.75 * other, rel=1e-5)
        assert float(found[1]) == pytest.approx(self.one(1, 0, self.target) / 2, rel=1e-5)
        mixed = (self.one(3, 0, self.partner) + self.one(3, 1, self.partner)) / 3
        assert float(found[3]) == pytest.approx(0.5 * mixed, rel=1e-5)
        torch.testing.assert_close(totals[1], torch.tensor([1 + 1 + 0.5, 1 + 0.5, 0.25 + 1 + 0.5 + 0.5]))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def labels(number: int, genre: int) -> dict[str, Any]:
        return {"genre": genre, "traits": [genre & 1, genre >> 1 & 1, number // 3 % 2]}

    return mel_data_set(tmp_path_factory.mktemp("traits"), train=16, validation=8, test=8, labels=labels)


def experiment(data: Path, stop: str, *more: str) -> Experiment:
    settings = [
        f"data={data}",
        "inputs.mel.crop_frames=16",
        "trainer.batch_size=8",
        f"tasks.traits_by_part.stop={stop}",
        *more,
    ]
    return Experiment.build(parse_recipe(compose("genre", settings)))


def scores(*losses: float) -> Scores:
    values = {"genre": {"loss": 1.0, "accuracy": 0.5}, "traits_by_part": {"loss": sum(losses), "accuracy": 0.5}}
    details = {"traits_by_part": {"accuracy": dict(zip(NAMES, (0.5, 0.6, 0.7), strict=True))}}
    parts = {"traits_by_part": dict(zip(NAMES, losses, strict=True))}
    return Scores(values, {}, 0, details=details, part_losses=parts)


CURVES = [(1.0, 3.0, 2.0), (0.9, 3.1, 2.1), (0.8, 3.2, 1.9), (0.7, 2.0, 2.0), (0.6, 2.0, 2.0), (0.7, 2.0, 2.0)]
CURVES += [(0.7, 2.6, 2.0)]
"""Of seven evaluations. With two in a row that do not improve hat stops at 2, beard at 4, smile at 6."""


@pytest.mark.parametrize("resumed_before", [None, 2, 3, 6])
def test_each_part_stops_by_its_own_curves(data: Path, resumed_before: int | None) -> None:
    made = experiment(data, "{rule: patience, patience: 2, per: attribute}")
    model, stopping = made.build_model(), Stopping(made, Ranks())
    weights = dict.fromkeys(made.tasks, 0.3)
    trained = []
    for epoch, losses in enumerate(CURVES):
        if epoch == resumed_before:
            state, stopping = json.loads(json.dumps(stopping.state_dict())), Stopping(made, Ranks())
            stopping.load_state_dict(state)
        stopping.add_losses({"traits_by_part.hat": (float(epoch), 2), "traits_by_part": (99.0, 1), "genre": (9.0, 1)})
        told = stopping.decide(epoch, scores(*losses), weights, model)
        assert [one.name for one in told] == [f"traits_by_part.{name}" for name in NAMES]
        trained.append(stopping.parts["traits_by_part"])
    assert [[name for name in NAMES if one[name]] for one in trained] == [
        *[[*NAMES]] * 2, *[["smile", "beard"]] * 2, *[["smile"]] * 2, [],
    ]  # fmt: skip
    assert stopping.active == ["genre"] and not stopping.ended
    assert stopping.stopped("traits_by_part") == {"epoch": 6, "rule": "patience", "action": "freeze"}
    assert stopping.stopped_parts("traits_by_part") == {"smile": 6, "hat": 2, "beard": 4}
    assert stopping.stopped("genre") is None and stopping.stopped_parts("genre") is None
    curves = stopping.state_dict()["courses"]["traits_by_part.hat"]["curves"]
    assert curves["training_loss"] == [0.0, 1.0, 2.0] and curves["validation_loss"] == [3.0, 3.1, 3.2]
    assert (
        curves["metric"] == [0.6] * 3 and curves["weight"] == pytest.approx([0.1] * 3) and curves["direction"] == "max"
    )


def test_a_part_is_taken_up_again_by_its_own_loss(data: Path) -> None:
    made = experiment(data, "{rule: patience, patience: 1, per: attribute, revive: 0.1}")
    model, stopping = made.build_model(), Stopping(made, Ranks())
    weights = dict.fromkeys(made.tasks, 0.3)
    for epoch, (losses, trains) in enumerate(
        [((1, 1, 1), [1, 1, 1]), ((1, 1, 1), [0, 0, 0]), ((1.05, 1.2, 1), [0, 1, 0]), ((1.05, 0.5, 1.2), [0, 1, 1])]
    ):
        stopping.decide(epoch, scores(*map(float, losses)), weights, model)
        assert list(stopping.parts["traits_by_part"].values()) == [bool(one) for one in trains]
        assert stopping.active == (["genre", "traits_by_part"] if any(trains) else ["genre"])


def test_the_best_row_of_a_part_is_put_back_and_no_other(data: Path) -> None:
    made = experiment(data, "{rule: patience, patience: 2, per: attribute, action: restore}")
    model, stopping = made.build_model(), Stopping(made, Ranks())
    check(made)
    weight = model.head_rows("traits_by_part")["weight"]
    weights = dict.fromkeys(made.tasks, 0.3)
    for epoch, losses in enumerate(CURVES[:3]):
        with torch.no_grad():
            weight.fill_(float(epoch))
        stopping.decide(epoch, scores(*losses), weights, model)
    assert weight[:, 0].tolist() == [2.0, 0.0, 2.0], "the hat's row is that of its best evaluation"


def test_a_main_task_that_may_stop_ends_the_run_with_its_last_part(data: Path) -> None:
    stop = "{rule: patience, patience: 1, per: attribute, allow_main: true}"
    made = experiment(data, stop, "tasks.genre=null", "tasks.traits_by_part.role=main")
    model, stopping = made.build_model(), Stopping(made, Ranks())
    for epoch, (losses, ended) in enumerate([((1, 1, 1), False), ((0.5, 1, 1), False), ((0.5, 1, 1), True)]):
        stopping.decide(epoch, scores(*map(float, losses)), {"traits_by_part": 1.0}, model)
        assert stopping.ended == ended


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["tasks.traits_by_part.stop.per=atribute"], "stop.per is 'atribute', but allowed is 'attribute'"),
        (
            ["tasks.genre.stop={rule: patience, per: class, allow_main: true}"],
            "genre.stop.per .* stop as a whole .*: take it out",
        ),
        (["tasks.traits_by_part.stop.rule=transfer"], "gradients are compared by task: take 'per' out"),
        (["tasks.traits_by_part.head={name: sequence}"], "has no row of weights for each: take 'per' out, or the head"),
        (["tasks.traits_by_part.stop.action=restore", "tasks.traits_by_part.hidden=[4]"], "hidden layers are of all"),
    ],
)
def test_what_cannot_be_is_one_sentence(data: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check(experiment(data, "{rule: plateau, per: attribute}", *overrides))
