"""The recipe's ``tune``, a file of it, and words of the command line that set it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from descant.errors import UserError
from descant.tune.schedulers import Asha, Pbt, schedulers
from descant.tune.search import searches
from descant.tune.settings import TuneSettings, tune_part

SPACE = {"optimizer.lr": {"loguniform": [1e-4, 1e-1]}}


def test_defaults() -> None:
    settings = TuneSettings.parse({"space": SPACE})
    assert (settings.search.name, settings.scheduler_name, settings.retries) == ("tpe", "none", 1)
    assert TuneSettings.parse({"space": {"optimizer.lr": {"grid": [1, 2]}}}).search.name == "grid"
    assert TuneSettings.parse({"space": SPACE, "scheduler": "pbt"}).search.name == "random"


def test_a_scheduler_is_a_name_or_a_mapping_with_options() -> None:
    assert TuneSettings.parse({"space": SPACE, "scheduler": "asha"}).scheduler == Asha()
    given = {"name": "pbt", "every_epochs": 3, "quantile": 0.5}
    assert TuneSettings.parse({"space": SPACE, "scheduler": given}).scheduler == Pbt(every_epochs=3, quantile=0.5)
    assert set(schedulers.names()) == {"none", "asha", "median", "pbt", "pb2"}


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({}, "search space is empty"),
        ({"space": SPACE, "trails": 3}, "did you mean 'trials'"),
        ({"space": SPACE, "trials": 0}, "from 1"),
        ({"space": SPACE, "retries": -1}, "from 0"),
        ({"space": SPACE, "seed": 0.5}, "whole number"),
        ({"space": SPACE, "metric": 3}, "tune.metric"),
        ({"space": SPACE, "scheduler": "ahsa"}, "did you mean 'asha'"),
        ({"space": SPACE, "scheduler": {"name": "asha", "factor": 1}}, "from 2"),
        ({"space": SPACE, "scheduler": {"name": "pbt", "quantile": 0.7}}, "up to 0.5"),
        ({"space": SPACE, "scheduler": {"name": "pbt", "factor": 1.5}}, "from 0 to 1"),
    ],
)
def test_what_has_no_meaning_is_refused(part: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        TuneSettings.parse(part)


def test_words_of_the_command_line_come_after_the_file_and_that_after_the_recipe(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("space: {optimizer.lr: {uniform: [0, 1]}}\ntrials: 5\n")
    own = {"space": SPACE, "trials": 3, "seed": 7}
    words = [
        "tune.trials=9",
        "trainer.epochs=2",
        "tune.space.tasks.a.weight={uniform:[1,2]}",
        "tune.scheduler.name=asha",
    ]
    part, rest = tune_part(own, words, file)
    assert rest == ["trainer.epochs=2"]
    assert part["trials"] == 9 and part["seed"] == 7 and part["scheduler"] == {"name": "asha"}
    assert part["space"] == {"optimizer.lr": {"uniform": [0, 1]}, "tasks.a.weight": {"uniform": [1, 2]}}
    assert own["space"] == SPACE
    assert tune_part(own, [f"tune={file}"], None)[0]["trials"] == 5


def test_a_file_may_hold_a_space_alone_or_a_recipes_tune(tmp_path: Path) -> None:
    alone, whole = tmp_path / "alone.yaml", tmp_path / "whole.yaml"
    alone.write_text("optimizer.lr: {uniform: [0, 1]}\n")
    whole.write_text("tune:\n  space: {optimizer.lr: {uniform: [0, 1]}}\n")
    assert tune_part(None, [], alone) == tune_part(None, [], whole)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        tune_part(None, [], tmp_path / "none.yaml")


def test_a_key_of_a_space_may_be_taken_out() -> None:
    part, _ = tune_part({"space": {**SPACE, "a": {"uniform": [0, 1]}}}, ["tune.space.a=null"], None)
    assert TuneSettings.parse(part).space.keys == ["optimizer.lr"]


def test_the_documentation_names_each_key_search_scheduler_and_option_with_its_default() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "tuning.md").read_text(encoding="utf-8")
    for field in dataclasses.fields(TuneSettings):
        assert field.name == "scheduler_name" or f"\n| `{field.name}` |" in page
    for name, kind in schedulers.items():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        for option in dataclasses.fields(kind):
            assert f"`{option.name}` {option.default:g}" in row
    for name in searches.names():
        assert f"\n| `{name}` |" in page
