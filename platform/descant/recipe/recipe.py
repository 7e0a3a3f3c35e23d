"""A recipe: what to train, on what, how and where."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from descant.errors import UserError, nearest
from descant.recipe.settings import Component, OptimizerSettings, RunSettings, TaskSettings, TrainerSettings, typed

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
    "resume": False,
}
"""Every key of a recipe with its default."""


NEUTRAL = ("log_steps", "checkpoint_steps", "checkpoint_s", "loader_workers", "quarantine_limit")
"""Keys of the trainer that change what is written or how fast it goes, and not what is learnt."""


@dataclass(frozen=True)
class Recipe:
    """A checked recipe; ``plain`` is the same as plain dicts, which is what run folders and workers get."""

    name: str
    data: str
    data_help: str
    seed: int
    plugins: tuple[str, ...]
    inputs: Mapping[str, Component]
    trunk: Component
    sharing: Component
    balance: Component
    tasks: Mapping[str, TaskSettings]
    trainer: TrainerSettings
    optimizer: OptimizerSettings
    run: RunSettings
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
    for key in plain:
        if key not in KEYS:
            raise UserError(f"there is no key {key!r} in a recipe: {nearest(key, KEYS)}")
    full = {**KEYS, **plain}
    full["tasks"] = {name: task for name, task in _mapping("tasks", full["tasks"]).items() if task is not None}
    full["inputs"] = {name: value for name, value in _mapping("inputs", full["inputs"]).items() if value is not None}
    if not isinstance(full["seed"], int) or isinstance(full["seed"], bool) or full["seed"] < 0:
        raise UserError(f"seed is {full['seed']!r}: give a whole number from 0")
    if not isinstance(full["data"], str):
        raise UserError("the recipe has no data: set data=FOLDER to a data set that 'descant pack' made")
    if not full["name"] or "/" in str(full["name"]) or str(full["name"]).startswith("."):
        raise UserError(f"the recipe's name is {full['name']!r}: give a plain name, which its run folder takes")
    plugins = plugin_names(full)
    tasks = {name: TaskSettings.parse(name, _mapping(f"tasks.{name}", task)) for name, task in full["tasks"].items()}
    tasks = dict(sorted(tasks.items(), key=lambda item: item[1].role != "main"))
    _check_one_main(tasks)
    trainer, run = typed("trainer", TrainerSettings, full["trainer"]), typed("run", RunSettings, full["run"])
    written_out = {"trainer": dataclasses.asdict(trainer), "run": dataclasses.asdict(run)}
    return Recipe(
        name=str(full["name"]),
        data=full["data"],
        data_help=str(full["data_help"]),
        seed=full["seed"],
        plugins=tuple(plugins),
        inputs={name: _input(name, value) for name, value in full["inputs"].items()},
        trunk=Component.parse("trunk", full["trunk"]),
        sharing=Component.parse("sharing", full["sharing"]),
        balance=Component.parse("balance", full["balance"]),
        tasks=tasks,
        trainer=trainer,
        optimizer=OptimizerSettings.parse(_mapping("optimizer", full["optimizer"])),
        run=run,
        resume=bool(full["resume"]),
        plain={**full, **written_out, "plugins": plugins, "resume": False},
    )


def plugin_names(plain: Mapping[str, Any]) -> list[str]:
    """Return the plugins that a recipe names; they are loaded before the rest of it is checked."""
    names = plain.get("plugins") or []
    return [str(name) for name in (names if isinstance(names, list) else [names])]


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return what decides what is learnt and differs, as ``key: value → value``, in the order of the keys."""
    before, after = _flatten(_what(one)), _flatten(_what(other))
    return [
        f"{key}: {before.get(key)!r} → {after.get(key)!r}"
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]


def _what(plain: Mapping[str, Any]) -> dict[str, Any]:
    what = {key: value for key, value in plain.items() if key not in ("run", "resume", "data_help", "name")}
    trainer = what.get("trainer") or {}
    return {**what, "trainer": {key: value for key, value in trainer.items() if key not in NEUTRAL}}


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        nested = isinstance(inner, Mapping) and bool(inner)
        flat |= _flatten(inner, f"{prefix}{key}.") if nested else {f"{prefix}{key}": inner}
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
