"""Attributes that stop one by one, in whole runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from descant import train
from descant.run.folder import RunFolder
from descant.run.log import read_rows
from support import last_weights, mel_data_set, train_on_ranks, train_with_a_stop

PLUGIN = """
from descant import BinaryAttributes, StopRule, register_stop_rule, register_task

@register_task("traits_in_turn")
class Traits(BinaryAttributes):
    attributes = ("first", "second", "third")

@register_stop_rule("learnt")
class Learnt(StopRule):
    \"\"\"Stops below a validation loss.\"\"\"
    def __init__(self, loss: float):
        self.threshold = -loss
    def measure(self, curves):
        assert all(loss > 0 for loss in curves.training_loss)
        return -curves.validation_loss[-1]
"""
NAMES = ("first", "second", "third")
TRAITS = "tasks.traits_in_turn={weight: 1, stop: {rule: learnt, loss: 0.55, per: attribute}}"


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    """Three attributes: of the genre, of noise, and of the genre but seldom known."""

    def labels(number: int, genre: int) -> dict[str, Any]:
        seldom = {"third": genre % 2} if number % 3 == 0 else {}
        return {"genre": genre, "first": genre // 4, "second": number * 7 % 5 % 2, **seldom}

    data = mel_data_set(tmp_path / "data", train=40, validation=16, test=8, labels=labels)
    (tmp_path / "traits.py").write_text(PLUGIN)
    settings = [f"data={data}", f"run.dir={tmp_path}", f"plugins=[{tmp_path / 'traits.py'}]", "run=inline"]
    settings += ["inputs.mel.crop_frames=24", "inputs.mel.views=1", "trunk={name: bilstm, hidden: [8], dropout: 0}"]
    settings += [
        "tasks.genre.dropout=0",
        "trainer.batch_size=16",
        "trainer.loader_workers=0",
        "trainer.epochs=6",
        "optimizer.lr=0.02",
    ]
    return [*settings, TRAITS]


def rows(run: Path, name: str, metric: str, split: str = "train") -> list[tuple[int, float]]:
    told = read_rows(run / "metrics.jsonl")
    kept = [row for row in told if (row["task"], row["split"], row["metric"]) == (name, split, metric)]
    return [(row["epoch"], row["value"]) for row in kept]


def head(run: Path) -> torch.Tensor:
    return next(
        value for name, value in last_weights(run).items() if name.startswith("heads.traits") and "weight" in name
    )


def test_an_attribute_that_stops_stays_as_it_is_while_the_others_learn(overrides: list[str]) -> None:
    run = train("genre", [*overrides, "run.name=whole"])
    first, second = (dict(rows(run.folder, f"traits_in_turn.{name}", "active")) for name in ("first", "second"))
    stopped = [epoch for epoch, trains in first.items() if not trains]
    assert stopped and stopped[0] < 5 and all(second.values()), (first, second)
    assert dict(rows(run.folder, "traits_in_turn", "active")) == dict.fromkeys(range(6), 1.0)
    described = run.summary["tasks"]["traits_in_turn"]
    assert described["stopped"] is None and described["stopped_parts"]["first"] == stopped[0]
    losses = dict(rows(run.folder, "traits_in_turn.first", "loss"))
    assert losses.keys() == set(range(6)), "its training loss is still told"
    stopped_before = RunFolder(run.folder).stopped()
    assert "traits_in_turn.first" in stopped_before and "traits_in_turn.second" not in stopped_before
    judged = dict(rows(run.folder, "traits_in_turn.first", "loss", "validation"))
    others = dict(rows(run.folder, "traits_in_turn.second", "loss", "validation"))
    whole = dict(rows(run.folder, "traits_in_turn", "loss", "validation"))
    assert judged.keys() == others.keys() == whole.keys() and judged != others
    until = train("genre", [*overrides, f"trainer.epochs={stopped[0] + 1}", "run.name=until"])
    assert torch.equal(head(run.folder)[0], head(until.folder)[0]), "no momentum moves it"
    assert not torch.equal(head(run.folder)[1], head(until.folder)[1])


def test_a_resume_right_before_and_right_after_a_decision_changes_nothing(overrides: list[str]) -> None:
    whole = train("genre", [*overrides, "run.name=whole"]).folder
    epoch = next(epoch for epoch, trains in rows(whole, "traits_in_turn.first", "active") if not trains)
    for before_step in (3 * (epoch + 1) - 1, 3 * (epoch + 1)):
        again = train_with_a_stop("genre", [*overrides, f"run.name=at-{before_step}"], before_step)
        for name in NAMES:
            for metric in ("active", "stop_measure", "loss"):
                assert rows(again, f"traits_in_turn.{name}", metric) == rows(whole, f"traits_in_turn.{name}", metric)
        for name, value in last_weights(whole).items():
            assert torch.equal(last_weights(again)[name], value), name


def test_ranks_decide_alike_and_learn_what_one_does(overrides: list[str]) -> None:
    settings = [*overrides, "optimizer={name: sgd, lr: 0.5, momentum: 0.5}", "tasks.traits_in_turn.stop.loss=0.67"]
    runs = train_on_ranks("genre", settings, (1, 2))
    one, two = ([rows(run, f"traits_in_turn.{name}", "active") for name in NAMES] for run in runs.values())
    assert one == two and any(not trains for found in one for _, trains in found)
    for name, value in last_weights(runs[1]).items():
        torch.testing.assert_close(last_weights(runs[2])[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_when_all_attributes_have_stopped_the_task_has(overrides: list[str]) -> None:
    stop = "tasks.traits_in_turn.stop={rule: learnt, loss: 9, per: attribute, action: drop}"
    run = train("genre", [*overrides, stop])
    assert run.summary["tasks"]["traits_in_turn"]["stopped"] == {"epoch": 0, "rule": "learnt", "action": "drop"}
    assert rows(run.folder, "traits_in_turn", "active")[0] == (0, 0.0)
    assert [epoch for epoch, _ in rows(run.folder, "traits_in_turn", "loss")] == [0]
