"""From plain dicts to checked settings, and what makes two recipes differ."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from descant.errors import UserError
from descant.recipe import Recipe, compose, differences, parse_recipe
from descant.recipe.compose import _set as set_key

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
    assert (smile.role, smile.gradient, smile.options) == ("auxiliary", 0.0, {"hidden": [4]})
    assert smile.weight is not None
    assert smile.weight.at(0, 10) == 0.5
    assert recipe.tasks["genre"].weight is None, "the default belongs to the kind of task"
    assert (recipe.trainer.batch_size, recipe.run.runner, recipe.balance.name) == (32, "ray", "static")


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
        ("tasks.smile.stop", {"rule": "x"}, "no stop rule exists yet"),
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
