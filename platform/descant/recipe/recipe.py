"""A recipe: what to train, on what, how and where."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from descant.errors import UserError, nearest
from descant.recipe.balance_settings import BalanceSettings
from descant.recipe.data import DataSettings
from descant.recipe.run import RunSettings
from descant.recipe.settings import (
    Component,
    OptimizerSettings,
    TrainerSettings,
    as_text,
    typed,
)
from descant.recipe.task_settings import TaskSettings
from descant.values import check_value, written

KEYS: dict[str, Any] = {
    "name": None,
    "data": None,
    "data_help": "",
    "seed": 0,
    "plugins": [],
    "inputs": {},
    "trunk": "mlp",
    "sharing": "hard",
    "balance": "static",
    "tasks": {},
    "trainer": {},
    "optimizer": {},
    "run": {},
    "callbacks": {},
    "resume": False,
    "trust": False,
    "tune": None,
}
"""Every key of a recipe with its default."""

NEUTRAL = ("log_steps", "checkpoint_steps", "checkpoint_s", "loader_workers", "quarantine_limit")
"""Keys of the trainer that change what is written or how fast it goes, and not what is learnt."""

ELSEWHERE = ("name", "data_help", "run", "callbacks", "resume", "trust")
"""Keys that say where it is learnt, who hears of it, and what is allowed."""


@dataclass(frozen=True)
class Recipe:
    """A checked recipe; ``plain`` is the same as plain dicts, which is what run folders and workers get."""

    name: str
    data: DataSettings
    data_help: str
    seed: int
    plugins: tuple[str, ...]
    inputs: Mapping[str, Component]
    trunk: Component
    sharing: Component
    balance: BalanceSettings
    tasks: Mapping[str, TaskSettings]
    trainer: TrainerSettings
    optimizer: OptimizerSettings
    run: RunSettings
    callbacks: Mapping[str, Mapping[str, Any]]
    resume: bool
    plain: dict[str, Any]

    @property
    def main(self) -> str:
        """The name of the main task."""
        return next(name for name, task in self.tasks.items() if task.role == "main")

    @property
    def run_name(self) -> str:
        """The run's folder name."""
        return self.run.name or self.name

    @property
    def fingerprint(self) -> str:
        """A hash of the recipe's keys that decide what is learnt, not of its data or plugins' text."""
        return hashlib.blake2b(json.dumps(_what(self.plain), sort_keys=True).encode(), digest_size=8).hexdigest()


def parse_recipe(plain: Mapping[str, Any]) -> Recipe:
    """Return the checked recipe of plain dicts.

    Raises:
        UserError: an unknown key (the nearest is named), a wrong value, no data, no main task or several.
    """
    full = _checked(plain)
    trainer, run = typed("trainer", TrainerSettings, full["trainer"]), RunSettings.parse(full["run"])
    optimizer = {"name": "adam", "lr": 1e-3, **_mapping("optimizer", full["optimizer"])}
    data = DataSettings.parse(full["data"])
    written_out = {"data": data.plain, "trainer": dataclasses.asdict(trainer), "optimizer": optimizer, "run": run.plain}
    return Recipe(
        name=full["name"],
        data=data,
        data_help=full["data_help"],
        seed=full["seed"],
        plugins=tuple(full["plugins"]),
        inputs={name: _input(name, value) for name, value in full["inputs"].items()},
        trunk=Component.parse("trunk", full["trunk"]),
        sharing=Component.parse("sharing", full["sharing"]),
        balance=BalanceSettings.parse(full["balance"]),
        tasks=_tasks(full["tasks"]),
        trainer=trainer,
        optimizer=OptimizerSettings.parse(optimizer),
        run=run,
        callbacks={name: _mapping(f"callbacks.{name}", options) for name, options in full["callbacks"].items()},
        resume=full["resume"],
        plain={**full, **written_out, "resume": False, "trust": False},
    )


def _checked(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return every key of a recipe, those that are no settings of their own checked, without tasks and inputs of null.

    Raises:
        UserError: as ``parse_recipe``.
    """
    for key in plain:
        if key not in KEYS:
            raise UserError(f"there is no key {key!r} in a recipe: {nearest(key, KEYS)}")
    full = {**KEYS, **plain, "plugins": plugin_names(plain)}
    for key in ("tasks", "inputs", "callbacks"):
        full[key] = {name: value for name, value in _mapping(key, full[key]).items() if value is not None}
    del full["tune"]  # what 'descant tune' searches is no part of what is trained
    full |= {"name": as_text(full["name"]), "data_help": str(full["data_help"] or "")}
    if not isinstance(full["seed"], int) or isinstance(full["seed"], bool) or full["seed"] < 0:
        raise UserError(f"seed is {full['seed']!r}: give a whole number from 0")
    name = full["name"]
    if not isinstance(name, str) or not name or "/" in name or name.startswith("."):
        raise UserError(f"the recipe's name is {name!r}: give a plain name, which its run folder takes")
    for key in ("resume", "trust"):
        check_value(key, bool, full[key])
    return full


def _tasks(given: Mapping[str, Any]) -> dict[str, TaskSettings]:
    """Return the settings of each task, the main one first."""
    tasks = {name: TaskSettings.parse(name, _mapping(f"tasks.{name}", task)) for name, task in given.items()}
    _check_one_main(tasks)
    return dict(sorted(tasks.items(), key=lambda item: item[1].role != "main"))


def plugin_names(plain: Mapping[str, Any]) -> list[str]:
    """Return the plugins that a recipe names; they are loaded before the rest of it is checked."""
    names = plain.get("plugins") or []
    return [str(name) for name in (names if isinstance(names, list) else [names])]


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return what decides what is learnt and differs, as ``key: value → value``, in the order of the keys."""
    before, after = flatten(_what(one)), flatten(_what(other))
    return [
        f"{key}: {written(before.get(key))} → {written(after.get(key))}"
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]


def _what(plain: Mapping[str, Any]) -> dict[str, Any]:
    what = {key: value for key, value in plain.items() if key not in ELSEWHERE}
    trainer = what.get("trainer") or {}
    return {**what, "trainer": {key: value for key, value in trainer.items() if key not in NEUTRAL}}


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping with dotted keys; an empty mapping is a value of its own."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        nested = isinstance(inner, Mapping) and bool(inner)
        flat |= flatten(inner, f"{prefix}{key}.") if nested else {f"{prefix}{key}": inner}
    return flat


def _input(name: str, value: object) -> Component:
    """Return the input ``name``; without ``kind`` its name is its kind."""
    options = dict(_mapping(f"inputs.{name}", value))
    return Component(str(options.pop("kind", name)), options)


def _mapping(where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(f"{where} is {value!r}: give a mapping")
    return value


def _check_one_main(tasks: Mapping[str, TaskSettings]) -> None:
    if not tasks:
        raise UserError("the recipe has no tasks: give one at least, with role: main")
    main = [name for name, task in tasks.items() if task.role == "main"]
    if len(main) != 1:
        have = " and ".join(map(repr, main)) or "none"
        raise UserError(f"a recipe has one main task, but this one has {have}: set 'role: main' for one of {[*tasks]}")
