"""Tasks whose heads and losses are computed together learn what they learn apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from descant import train
from descant.loop.experiment import Experiment
from descant.recipe import compose, parse_recipe
from support import last_weights, mel_data_set

TASKS = """
from descant import Classification, register_task

for number in range(3):
    register_task(f"bit_{number}")(type(f"Bit{number}", (Classification,), {"label": f"bit_{number}"}))
"""


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    """Three tasks of two classes."""

    def labels(number: int, genre: int) -> dict[str, int]:
        return {"genre": genre, **{f"bit_{bit}": genre >> bit & 1 for bit in range(3)}}

    data = mel_data_set(tmp_path / "data", train=40, validation=16, test=8, labels=labels)
    (tmp_path / "bits.py").write_text(TASKS)
    settings = [f"data={data}", f"run.dir={tmp_path}", f"plugins=[{tmp_path / 'bits.py'}]", "run=inline"]
    settings += ["inputs.mel.crop_frames=24", "trunk={name: bilstm, hidden: [8], dropout: 0}", "tasks.genre.dropout=0"]
    return [
        *settings,
        "trainer.batch_size=8",
        "trainer.epochs=3",
        *(f"tasks.bit_{bit}.weight=0.{bit + 3}" for bit in range(3)),
    ]


@pytest.mark.parametrize(
    ("optimizer", "gates"),
    [
        ("{name: sgd, lr: 0.1, momentum: 0.9}", []),
        ("{name: adam, lr: 0.003}", []),
        (
            "{name: sgd, lr: 0.1}",
            ["tasks.bit_0.gradient=block", "tasks.bit_2.gradient={schedule: linear, start: 1, end: -0.5}"],
        ),
    ],
)
def test_together_or_apart_the_same_is_learnt(
    tmp_path: Path, overrides: list[str], optimizer: str, gates: list[str]
) -> None:
    common = [*overrides, f"optimizer={optimizer}", *gates]
    apart = [f"tasks.bit_{bit}.head={{name: mlp, hidden: []}}" for bit in range(3)]  # the same head, by another name
    fused = last_weights(train("genre", [*common, "run.name=together"]).folder)
    plain = last_weights(train("genre", [*common, *apart, "run.name=apart"]).folder)
    assert not any(name.startswith("heads.bit") for name in fused)
    for name, value in plain.items():
        if name.startswith("heads.bit"):
            row, part = int(name[len("heads.bit_")]), name.rpartition(".")[2]
            ours = fused["fused.0.weight_KOF" if part == "weight" else "fused.0.bias_KO"][row]
        else:
            ours = fused[name]
        torch.testing.assert_close(ours, value, rtol=1e-3, atol=1e-5, msg=name)


def test_only_heads_that_are_alike_are_fused(overrides: list[str]) -> None:
    def groups(*more: str) -> list[list[str]]:
        experiment = Experiment.build(parse_recipe(compose("genre", [*overrides, *more])))
        return [fused.tasks for fused in experiment.build_model().fused]  # type: ignore[misc]

    everything = ["bit_0", "bit_1", "bit_2"]
    assert groups() == [everything]
    for other in ("gradient=block", "gradient={schedule: linear, start: 0, end: 1}"):
        assert groups(f"tasks.bit_1.{other}") == [everything]  # a gate changes no weight's name
    for other in ("hidden=[4]", "dropout=0.1", "feature=sequence"):
        assert groups(f"tasks.bit_1.{other}") == [["bit_0", "bit_2"]]
    assert groups("tasks.reconstruction={head: linear, feature: pooled}") == [everything]
    assert groups("tasks.bit_1=null", "tasks.bit_2=null") == []
    assert groups("sharing=soft") == []


def test_tasks_that_a_batch_may_come_without_are_not_fused(tmp_path: Path, overrides: list[str]) -> None:
    """Adam counts the steps of fused heads together, so a task that is seldom taught would take other steps."""

    def labels(number: int, genre: int) -> dict[str, int]:
        bits = {"bit_0": genre & 1, "bit_1": genre >> 1 & 1, "bit_2": genre >> 2}
        return {"genre": genre, **(bits if number % 10 else {"bit_0": genre & 1})}

    data = mel_data_set(tmp_path / "seldom", train=40, validation=16, test=8, labels=labels)
    for batch_size, expected in (("8", []), ("30", [["bit_0", "bit_1", "bit_2"]])):
        settings = [*overrides, f"data={data}", f"trainer.batch_size={batch_size}"]
        experiment = Experiment.build(parse_recipe(compose("genre", settings)))
        assert [fused.tasks for fused in experiment.build_model().fused] == expected


def test_a_fused_task_stops_and_gets_its_best_head_back(tmp_path: Path, overrides: list[str]) -> None:
    rule = "tasks.bit_1.stop={rule: patience, patience: 1, min_delta: 1000, action: restore}"
    run = train("genre", [*overrides, rule])
    assert run.summary["tasks"]["bit_1"]["stopped"] == {"epoch": 1, "rule": "patience", "action": "restore"}
    first = last_weights(train("genre", [*overrides, "trainer.steps=5", "run.name=first"]).folder)
    second = last_weights(train("genre", [*overrides, "trainer.steps=10", "run.name=second"]).folder)
    kept = last_weights(run.folder)["fused.0.weight_KOF"]
    assert any(torch.equal(kept[1], one["fused.0.weight_KOF"][1]) for one in (first, second))
    assert not any(torch.equal(kept[0], one["fused.0.weight_KOF"][0]) for one in (first, second))
