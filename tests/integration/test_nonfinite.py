"""A task whose loss is NaN or infinite leaves the others as they would be without it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from descant import train
from descant.errors import RunError
from descant.run.log import read_rows
from support import last_weights, mel_data_set, train_all_on_ranks, train_with_a_stop

PLUGIN = """
import torch
from descant import Classification, register_task

@register_task("seldom_whole")
class SeldomWhole(Classification):
    \"\"\"Its loss is NaN where the label says so.\"\"\"
    label = "broken"

    def loss(self, output, target):
        return super().loss(output, target) * torch.where(target == 1, torch.nan, 1.0)


@register_task("steep")
class Steep(Classification):
    \"\"\"Its loss is finite, its gradient is not.\"\"\"
    label = "genre"

    def loss(self, output, target):
        return super().loss(output, target) + (0.0 * output).abs().sqrt().sum(1)


@register_task("never_whole")
class NeverWhole(Classification):
    label = "genre"

    def loss(self, output, target):
        return super().loss(output, target) / 0.0
"""


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    """Of five batches the second and the third hold a sample that breaks ``seldom_whole``."""
    data = mel_data_set(
        tmp_path / "data",
        train=40,
        labels=lambda number, genre: {"genre": genre, "broken": int(number in (3, 11))},
    )
    (tmp_path / "broken.py").write_text(PLUGIN)
    settings = [f"data={data}", f"run.dir={tmp_path}", f"plugins=[{tmp_path / 'broken.py'}]", "run=inline"]
    settings += ["inputs.mel.crop_frames=24", "trunk={name: bilstm, hidden: [8], dropout: 0}", "tasks.genre.dropout=0"]
    return [*settings, "trainer.batch_size=8", "trainer.epochs=1", "optimizer={name: sgd, lr: 0.2, momentum: 0.9}"]


@pytest.mark.parametrize("balance", ["static", "{name: static, normalise: log}"])
def test_the_other_tasks_learn_what_they_learn_without_it(
    overrides: list[str], balance: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = [*overrides, "tasks.reconstruction={weight: 2, dropout: 0}", f"balance={balance}"]
    alone = last_weights(train("genre", [*settings, "run.name=alone"]).folder)
    with caplog.at_level(logging.WARNING, "descant"):
        run = train("genre", [*settings, "tasks.never_whole={weight: 1, gradient: 0.5}", "run.name=beside"])
    both = last_weights(run.folder)
    for name, value in alone.items():
        torch.testing.assert_close(both[name], value, rtol=1e-5, atol=1e-7, msg=name)
    assert "the loss of the task 'never_whole' became inf at step 0 on the samples 'train" in caplog.text
    assert caplog.text.count("the step goes on without the task") == 1, "said once of a row of steps"
    rows = [row for row in read_rows(run.folder / "metrics.jsonl") if row["task"] == "never_whole"]
    assert not [row for row in rows if (row["split"], row["metric"]) == ("train", "loss")], "it was never taught"


@pytest.mark.parametrize("sharing", ["{name: soft, couple: l2_activations, strength: 1.0}", "mmoe"])
def test_what_couples_the_others_stays(overrides: list[str], sharing: str) -> None:
    settings = [*overrides, f"sharing={sharing}", "tasks.seldom_whole={weight: 1, dropout: 0}"]
    alone = last_weights(train("genre", [*settings, "run.name=alone"]).folder)
    both = train("genre", [*settings, "tasks.never_whole={weight: 1, gradient: block}", "run.name=beside"])
    for name, value in last_weights(both.folder).items():
        if name in alone:
            torch.testing.assert_close(value, alone[name], rtol=1e-5, atol=1e-7, msg=name)


def test_a_gradient_that_is_not_finite_is_found_by_balancers_that_look_at_it(
    overrides: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = [*overrides, "tasks.seldom_whole.weight=1", "balance=ol_aux"]
    alone = last_weights(train("genre", [*settings, "run.name=alone"]).folder)
    with caplog.at_level(logging.WARNING, "descant"):
        run = train("genre", [*settings, "tasks.steep.weight=1", "run.name=beside"])
    assert "the gradient of the task 'steep' was not finite at step 0: the step goes on without" in caplog.text
    for name, value in last_weights(run.folder).items():
        if name in alone:
            torch.testing.assert_close(value, alone[name], rtol=1e-5, atol=1e-7, msg=name)


def test_ranks_leave_out_the_same_task_at_the_same_steps(overrides: list[str]) -> None:
    settings = [*overrides, "tasks.seldom_whole.weight=1", "trainer.log_steps=1"]
    ways = {"static": settings, "microbatches": [*settings, "trainer.micro_batch=2"]}
    runs = train_all_on_ranks("genre", ways, (1, 2, 3))
    for way, by_size in runs.items():
        one = last_weights(by_size[1])
        assert all(value.isfinite().all() for value in one.values())
        taught = [row for row in read_rows(by_size[1] / "metrics.jsonl")
                  if (row["task"], row["split"], row["metric"]) == ("seldom_whole", "train", "loss")]  # fmt: skip
        assert 1 <= len(taught) < 5, "of some batches it learns, of others not"
        for size in (2, 3):
            for name, value in last_weights(by_size[size]).items():
                torch.testing.assert_close(value, one[name], rtol=1e-4, atol=2e-6, msg=f"{way}: {name} on {size}")


def test_after_too_many_steps_in_a_row_the_task_is_suspended_also_over_a_stop(overrides: list[str]) -> None:
    settings = [*overrides, "tasks.never_whole.weight=1", "trainer.nonfinite_steps=2"]
    run = train("genre", [*settings, "run.name=whole"])
    assert run.status == "finished"
    assert run.summary["tasks"]["never_whole"]["stopped"] == {"epoch": 0, "rule": "nonfinite", "action": "freeze"}
    told = [(row["step"], row["value"]) for row in read_rows(run.folder / "metrics.jsonl")
            if (row["task"], row["metric"]) == ("never_whole", "active")]  # fmt: skip
    assert len(told) == 1 and told[0][1] == 0.0
    again = train_with_a_stop("genre", [*settings, "run.name=again"], 1)
    for name, value in last_weights(run.folder).items():
        assert torch.equal(value, last_weights(again)[name]), name


def test_a_main_task_or_a_recipe_that_says_so_ends_the_run(overrides: list[str]) -> None:
    stop = [*overrides, "tasks.never_whole.weight=1", "trainer.nonfinite_steps=1", "trainer.nonfinite_action=stop"]
    with pytest.raises(RunError, match=r"'never_whole' became inf at step 1 on .*, as in the 1 steps before: look at"):
        train("genre", [*stop, "run.name=asked"])
    main = [*overrides, "tasks.genre=null", "tasks.never_whole.role=main", "trainer.nonfinite_steps=3"]
    with pytest.raises(RunError, match="'never_whole' became inf at step 3"):
        train("genre", [*main, "run.name=main"])
