"""From plain dicts to checked settings, and what makes two recipes differ."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from descant.errors import UserError
from descant.recipe import Recipe, RunSettings, compose, differences, parse_recipe
from descant.recipe.compose import set_key
from descant.schedules import Constant

PLAIN: dict[str, Any] = {
    "name": "x",
    "data": "data/x",
    "tasks": {
        "smile": {"weight": {"schedule": "linear", "start": 0.5}, "gradient": "block", "hidden": [4]},
        "genre": {"role": "main"},
        "gone": None,
    },
}


def changed(key: str, value: Any) -> dict[str, Any]:
    plain = copy.deepcopy(PLAIN)
    set_key(plain, key, value)
    return plain


def test_the_main_task_comes_first_and_null_tasks_are_out() -> None:
    recipe = parse_recipe(PLAIN)
    assert list(recipe.tasks) == ["genre", "smile"]
    assert recipe.main == "genre"
    smile = recipe.tasks["smile"]
    assert (smile.role, smile.gradient, smile.options) == ("auxiliary", Constant(0.0), {"hidden": [4]})
    assert smile.weight is not None
    assert smile.weight.at(0, 10) == 0.5
    assert recipe.tasks["genre"].weight is None, "the default belongs to the kind of task"
    assert (recipe.trainer.batch_size, recipe.run.runner, recipe.balance.method.name) == (32, "ray", "static")


def test_every_shipped_recipe_is_sound_and_runs_again_from_its_plain_form() -> None:
    for name in ("genre", "genre_reconstruction", "face_landmarks", "demo"):
        recipe = parse_recipe(compose(name))
        again = parse_recipe(recipe.plain)
        assert again == recipe
        assert again.fingerprint == recipe.fingerprint
        assert differences(recipe.plain, again.plain) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("trainr", {}, "no key 'trainr' in a recipe: did you mean 'trainer'"),
        ("trainer.epoch", 3, r"no key 'trainer\.epoch': did you mean '[a-z.]*epochs'"),
        ("trainer.epochs", 0, r"trainer\.epochs is 0: give a whole number from 1"),
        ("trainer.epochs", "three", r"trainer\.epochs is 'three': give"),
        ("trainer.epochs", True, r"trainer\.epochs is True"),
        ("trainer.batch_size", 2.5, r"trainer\.batch_size is 2\.5"),
        ("trainer.clip_norm", 0, r"trainer\.clip_norm is 0"),
        ("trainer.quarantine_limit", 2, r"trainer\.quarantine_limit is 2"),
        ("trainer", 3, "trainer is 3: give a mapping"),
        ("run.workers", [4, 1], r"run\.workers is \[4, 1\]"),
        ("run.workers", 0, r"run\.workers is 0"),
        ("run.name", "a/b", r"run\.name is 'a/b'"),
        ("seed", -1, "seed is -1"),
        ("resume", "maybe", "resume is 'maybe': give true or false"),
        ("trainer.precision", "fp8", r"trainer\.precision is 'fp8': give 'fp32' or 'bf16'"),
        ("run", 3, "run is 3: give a mapping"),
        ("run.nam", None, r"no key 'run\.nam': did you mean 'run\.name'"),
        ("name", True, "the recipe's name is True"),
        ("seed", 1.5, r"seed is 1\.5"),
        ("data", None, "the recipe has no data"),
        ("tasks", {}, "the recipe has no tasks"),
        ("tasks", [1], "tasks is"),
        ("tasks.smile", 3, r"tasks\.smile is 3: give a mapping"),
        ("tasks.genre.role", "auxiliary", "one main task, but this one has none"),
        ("tasks.smile.role", "main", "but this one has 'smile' and 'genre'"),
        ("tasks.smile.role", "helper", r"tasks\.smile\.role is 'helper'"),
        ("tasks.smile.weight", -0.1, r"tasks\.smile\.weight goes below zero"),
        ("tasks.smile.weight", {"schedule": "linear", "start": 1, "end": -1}, "goes below zero"),
        ("tasks.smile.gradient", "stop", r"tasks\.smile\.gradient is 'stop'"),
        ("tasks.smile.stop", 3, r"tasks\.smile\.stop is 3: give the name of a stop rule"),
        ("tasks.smile.stop", {"action": "drop"}, r"give the name of a stop rule, or a mapping with 'rule'"),
        ("tasks.smile.stop", {"rule": "x", "action": "end"}, r"tasks\.smile\.stop\.action is 'end': give 'freeze'"),
        ("tasks.smile.stop", {"rule": "x", "min_epochs": 0}, r"tasks\.smile\.stop\.min_epochs is 0"),
        ("tasks.smile.stop", {"rule": "x", "revive": -1.0}, r"tasks\.smile\.stop\.revive is -1"),
        ("tasks.smile.stop", {"rule": "x", "revive": 0.1, "action": "drop"}, "no longer scores: take 'revive' out"),
        ("tasks.genre.stop", "x", r"stopping it ends the run: set tasks\.genre\.stop\.allow_main=true"),
        ("trunk", 3, "trunk is 3: give a name"),
        ("trunk", {"hidden": 3}, "give a name, or a mapping with 'name'"),
        ("optimizer.name", "adm", "optimizer.name is 'adm': did you mean 'adam'"),
        ("optimizer.lr", "fast", r"optimizer\.lr is 'fast'"),
        ("inputs", {"mel": 3}, r"inputs\.mel is 3"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_it(key: str, value: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_recipe(changed(key, value))


@pytest.mark.parametrize(("key", "value"), [("name", 2024), ("data", 2024), ("run.name", 2024), ("run.dir", 1.5)])
def test_names_that_yaml_reads_as_numbers_are_text(key: str, value: Any) -> None:
    recipe = parse_recipe(changed(key, value))
    found = {"name": recipe.name, "data": recipe.data.plain, "run.name": recipe.run.name, "run.dir": recipe.run.dir}
    assert found[key] == str(value)
    assert recipe == parse_recipe(recipe.plain)


@pytest.mark.parametrize(
    ("given", "settings", "written"),
    [
        ({}, RunSettings(), {"workers": 1, "max_failures": 3}),
        ({"workers": None, "cpus_per_worker": None, "max_failures": None, "dir": None}, RunSettings(), {"dir": "runs"}),
        ({"workers": 2}, RunSettings(workers=(2, 2)), {"workers": 2}),
        ({"workers": [1, 4]}, RunSettings(workers=(1, 4)), {"workers": [1, 4]}),
        ({"gpus_per_worker": 0.5}, RunSettings(gpus_per_worker=0.5), {"gpus_per_worker": 0.5}),
        ({"max_failures": -1}, RunSettings(max_failures=-1), {"max_failures": -1}),
        ({"address": "head:6379"}, RunSettings(address="head:6379"), {"address": "head:6379"}),
    ],
)
def test_what_a_run_asks_for_is_typed_and_written_as_json(
    given: dict[str, Any], settings: RunSettings, written: dict[str, Any]
) -> None:
    assert RunSettings.parse(given) == settings
    plain = parse_recipe({**PLAIN, "run": given}).plain["run"]
    assert json.loads(json.dumps(plain)) == plain
    assert {key: plain[key] for key in written} == written
    assert RunSettings.parse(plain) == settings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("workers", value) for value in (0, True, "two", [4, 1], [1, 2, 3], [1.0, 2.0], [0, 1])),
        *(("cpus_per_worker", value) for value in (0, 0.5, True, "all")),
        *(("gpus_per_worker", value) for value in (-1, True, "all", float("inf"))),
        *(("max_failures", value) for value in (-2, 1.5)),
        *(("name", value) for value in ("", ".x", "a/b", ["a"])),
    ],
)
def test_what_a_run_cannot_be_given_is_one_sentence(key: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^run\.{key} is .*: give [^\n]*$"):
        RunSettings.parse({key: value})


def test_a_runs_recipe_spells_out_the_optimizer() -> None:
    assert parse_recipe(PLAIN).plain["optimizer"] == {"name": "adam", "lr": 1e-3}
    assert parse_recipe({**PLAIN, "optimizer": {"name": "sgd", "momentum": 0.9}}).plain["optimizer"] == {
        "name": "sgd",
        "lr": 1e-3,
        "momentum": 0.9,
    }


def test_differences_are_written_as_a_recipe_writes_them() -> None:
    base = parse_recipe(changed("trainer.clip_norm", 1.5)).plain
    other = copy.deepcopy(base)
    other["trainer"] |= {"clip_norm": None, "deterministic": True}
    other["tasks"]["smile"] |= {"hidden": [4, 2], "loss": "l1"}
    assert differences(base, other) == [
        "tasks.smile.hidden: [4] → [4, 2]",
        "trainer.clip_norm: 1.5 → null",
        "trainer.deterministic: false → true",
        "tasks.smile.loss: null → l1",
    ]


def recipe_with(key: str, value: Any) -> Recipe:
    return parse_recipe(changed(key, value))


@pytest.mark.parametrize(
    ("key", "value", "learns_something_else"),
    [
        ("seed", 1, True),
        ("trainer.batch_size", 16, True),
        ("tasks.smile.weight", 0.25, True),
        ("tasks.pose", {"role": "auxiliary"}, True),
        ("tasks.pose", {}, True),
        ("data", "data/y", True),
        ("run.workers", 4, False),
        ("run.runner", "inline", False),
        ("name", "y", False),
        ("resume", True, False),
        ("data_help", "make it", False),
    ],
)
def test_what_decides_what_is_learnt_differs_and_nothing_else(
    key: str, value: Any, learns_something_else: bool
) -> None:
    base, other = parse_recipe(PLAIN), recipe_with(key, value)
    assert (base.fingerprint != other.fingerprint) is learns_something_else
    assert bool(differences(base.plain, other.plain)) is learns_something_else
    if key == "seed":
        assert differences(base.plain, other.plain) == ["seed: 0 → 1"]
