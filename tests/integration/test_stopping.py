"""Tasks that stop before the others: what is learnt then, on any number of ranks and after any stop of the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from descant import load, train
from descant.errors import UserError
from descant.loop.checkpoints import Checkpoints
from descant.run.folder import RunFolder
from descant.run.log import read_rows
from support import last_weights, mel_data_set, train_on_ranks, train_with_a_stop

RULES = """
from descant.stopping import StopRule, rules

@rules.register("after")
class After(StopRule):
    \"\"\"Stops once it has seen as many evaluations.\"\"\"
    threshold = 0.0
    def __init__(self, evaluations: int = 2):
        self.evaluations = evaluations
    def measure(self, curves):
        assert len(curves.epochs) == len(curves.training_loss) == len(curves.validation_loss)
        return len(curves.epochs) - self.evaluations + 0.5

@rules.register("watch")
class Watch(StopRule):
    \"\"\"Looks at the gradients and never stops.\"\"\"
    threshold = 2.0
    reads_alignment = True
    def measure(self, curves):
        return curves.alignment[-1]

import torch
from descant import register_head
from descant.heads.mlp import LinearHead
from descant.loop.rehearsal import ROWS

@register_head("only_bf16")
class OnlyBf16(LinearHead):
    \"\"\"Trains in mixed precision only; a rehearsal does not train.\"\"\"
    def forward(self, input):
        device = "cuda" if torch.cuda.is_available() else "cpu"
        assert not self.training or len(input) <= ROWS or torch.is_autocast_enabled(device)
        return super().forward(input)
"""
SMALL = ["run=inline", "inputs.mel.crop_frames=24", "inputs.mel.views=1"]
SMALL += ["trunk={name: bilstm, hidden: [8], dropout: 0}"]
SMALL += ["tasks.genre.dropout=0", "tasks.reconstruction.dropout=0", "trainer.batch_size=16", "trainer.epochs=4"]
STOP = "tasks.reconstruction.stop"


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    data = mel_data_set(tmp_path / "data", train=40, validation=16, test=8)
    plugin = tmp_path / "after.py"
    plugin.write_text(RULES)
    return [f"data={data}", f"run.dir={tmp_path}", f"plugins=[{plugin}]", *SMALL]


def rows(run: Path, metric: str, split: str = "train") -> list[tuple[int, float]]:
    """Return (epoch, value) of the auxiliary's rows."""
    told = read_rows(run / "metrics.jsonl")
    return [
        (row["epoch"], row["value"])
        for row in told
        if (row["task"], row["split"], row["metric"]) == ("reconstruction", split, metric)
    ]


def task(run: Path) -> dict[str, Any]:
    """Return what the summary says of the auxiliary."""
    found: dict[str, Any] = json.loads((run / "summary.json").read_text())["tasks"]["reconstruction"]
    return found


def head(run: Path, which: Any = "last") -> dict[str, torch.Tensor]:
    """Return the weights of the auxiliary's head."""
    found = Checkpoints(run / "checkpoints").load(which)
    assert found is not None
    return {name: value for name, value in found.model.items() if name.startswith("heads.reconstruction")}


def test_a_task_that_stops_teaches_no_more_and_is_scored_on(overrides: list[str]) -> None:
    run = train("genre_reconstruction", [*overrides, f"{STOP}={{rule: after, evaluations: 2}}"])
    assert rows(run.folder, "active") == [(0, 1.0), (1, 0.0), (2, 0.0), (3, 0.0)]
    assert [epoch for epoch, _ in rows(run.folder, "loss")] == [0, 1]
    assert [epoch for epoch, _ in rows(run.folder, "loss", "validation")] == [0, 1, 2, 3]
    assert rows(run.folder, "stop_measure") == [(0, -0.5), (1, 0.5)]
    assert task(run.folder)["stopped"] == {"epoch": 1, "rule": "after", "action": "freeze"}
    until = train("genre_reconstruction", [*overrides, "trainer.epochs=2", "run.name=until"])
    for name, value in head(until.folder).items():
        assert torch.equal(head(run.folder)[name], value), "the head stays where it stopped"


def test_a_task_that_is_dropped_is_neither_decoded_nor_scored(overrides: list[str]) -> None:
    run = train("genre_reconstruction", [*overrides, f"{STOP}={{rule: after, evaluations: 1, action: drop}}"])
    assert [epoch for epoch, _ in rows(run.folder, "loss", "validation")] == [0]
    assert task(run.folder)["stopped"] == {"epoch": 0, "rule": "after", "action": "drop"}


def test_the_best_head_is_put_back(overrides: list[str]) -> None:
    """With so large steps the reconstruction gets worse, so the best head is not the last one."""
    settings = [
        *overrides,
        "optimizer={name: sgd, lr: {schedule: linear, start: 0.01, end: 50}}",
        "trainer.clip_norm=1",
    ]
    run = train("genre_reconstruction", [*settings, f"{STOP}={{rule: after, evaluations: 3, action: restore}}"])
    losses = [loss for _, loss in rows(run.folder, "loss", "validation")]
    best = min(range(2), key=losses.__getitem__)  # the third is of the head that was put back
    found = load(run.folder).evaluate("validation")["tasks"]
    assert found == {task: pytest.approx(told["best"], rel=1e-6) for task, told in run.summary["tasks"].items()}
    same = train("genre_reconstruction", [*settings, f"trainer.steps={3 * (best + 1)}", "run.name=until"])
    for name, value in head(same.folder).items():
        assert torch.equal(head(run.folder)[name], value)


def test_a_task_is_taken_up_again_when_its_loss_gets_worse(overrides: list[str]) -> None:
    settings = [
        *overrides,
        "trainer.epochs=6",
        "optimizer.lr=0.05",
        f"{STOP}={{rule: after, evaluations: 1, revive: 0.0}}",
    ]
    run = train("genre_reconstruction", settings)
    active = [value for _, value in rows(run.folder, "active")]
    assert active[0] == 0.0 and 1.0 in active[1:]
    losses = dict(rows(run.folder, "loss", "validation"))
    revived = active.index(1.0)
    assert losses[revived] > losses[0]
    assert active[revived + 1] == 0.0, "its rule begins anew"
    assert [epoch for epoch, _ in rows(run.folder, "loss")][:2] == [0, revived + 1]


def test_min_epochs_holds_a_rule_back_and_a_stopped_main_task_ends_the_run(overrides: list[str]) -> None:
    rule = "tasks.genre.stop={rule: after, evaluations: 1, min_epochs: 3, allow_main: true}"
    run = train("genre_reconstruction", [*overrides, rule])
    assert run.summary["status"] == "finished"
    assert run.summary["tasks"]["genre"]["stopped"]["epoch"] == 2
    assert run.summary["data"]["passes"] == 3.0 and run.summary["tasks"]["genre"]["test"] is not None
    assert train("genre_reconstruction", [*overrides, rule]).summary == run.summary, "it is finished"


@pytest.mark.parametrize("before_step", [4, 6, 7])
def test_a_run_that_goes_on_decides_as_one_that_never_stopped(overrides: list[str], before_step: int) -> None:
    """There are three steps an epoch, so the second evaluation, which stops the task, comes after step 6."""
    settings = [*overrides, f"{STOP}={{rule: after, evaluations: 2}}"]
    whole = train("genre_reconstruction", [*settings, "run.name=whole"]).folder
    stopped = train_with_a_stop("genre_reconstruction", [*settings, "run.name=stopped"], before_step)
    for metric, split in (("active", "train"), ("stop_measure", "train"), ("loss", "train")):
        assert rows(stopped, metric, split) == rows(whole, metric, split)
    for name, value in last_weights(whole).items():
        assert torch.equal(last_weights(stopped)[name], value), name


def test_in_bf16_what_remains_trains_on_in_bf16(overrides: list[str]) -> None:
    """The head of the main task refuses to train in any other precision."""
    settings = [*overrides, "trainer.loader_workers=0", "trainer.epochs=2", "trainer.precision=bf16"]
    settings += [f"{STOP}={{rule: after, evaluations: 1}}", "tasks.genre={role: main, head: only_bf16}"]
    runs = train_on_ranks("genre_reconstruction", settings, (1, 2))
    unwrapped = train("genre_reconstruction", settings).folder  # by accelerate: one process that joined no others
    for run in (*runs.values(), unwrapped):
        assert rows(run, "active") == [(0, 0.0), (1, 0.0)] and [epoch for epoch, _ in rows(run, "loss")] == [0]
    for name, value in last_weights(runs[1]).items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(last_weights(runs[2])[name], value, rtol=0.1, atol=0.02, msg=name)


def test_ranks_decide_alike_and_learn_what_one_does(overrides: list[str]) -> None:
    settings = [*overrides, f"{STOP}={{rule: after, evaluations: 2}}", "optimizer={name: sgd, lr: 0.1}"]
    runs = train_on_ranks("genre_reconstruction", settings, (1, 2))
    assert rows(runs[1], "active") == rows(runs[2], "active")
    for name, value in last_weights(runs[1]).items():
        torch.testing.assert_close(last_weights(runs[2])[name], value, rtol=1e-3, atol=1e-5, msg=name)
    summary = RunFolder(runs[2]).summary()
    assert summary is not None and summary["status"] == "finished"


def test_gradients_are_compared_alike_on_ranks_and_nothing_that_is_learnt_changes(overrides: list[str]) -> None:
    settings = [*overrides, "optimizer={name: sgd, lr: 0.1}"]
    runs = train_on_ranks("genre_reconstruction", [*settings, f"{STOP}=watch"], (1, 2))
    plain = train("genre_reconstruction", [*settings, "run.name=plain"]).folder
    for name, value in last_weights(plain).items():
        assert torch.equal(last_weights(runs[1])[name], value), name
    one, two = (dict(rows(runs[size], "alignment")) for size in (1, 2))
    assert list(one) == [0, 3], "steps 0 and 10 of three an epoch"
    assert one == pytest.approx(two, abs=1e-4) and all(1e-3 < abs(value) < 1 for value in one.values())


def test_a_rule_that_there_is_not_is_one_sentence(overrides: list[str]) -> None:
    for rule, says in (
        ("aftr", "there is no stop rule 'aftr': did you mean 'after'"),
        (
            "{rule: after, evaluation: 3}",
            "the stop rule 'after' has no option 'evaluation': did you mean 'evaluations'",
        ),
    ):
        with pytest.raises(UserError, match=says):
            train("genre_reconstruction", [*overrides, f"{STOP}={rule}"])
