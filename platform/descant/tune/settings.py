"""The recipe's ``tune``: what is searched, how, and by how many trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.errors import UserError, nearest
from descant.recipe import parse_override
from descant.recipe.files import read_own
from descant.recipe.settings import Component, at_least, names
from descant.tune.schedulers import Scheduler, schedulers
from descant.tune.space import Choice, Space
from descant.values import check_value

TRIALS, MEMBERS, MANY = 20, 8, 1000
"""Trials of a study that does not say how many, of a population, and where a budget of epochs says it."""


@dataclass(frozen=True)
class TuneSettings:
    """How a study searches.

    Attributes:
        space: the keys and their values.
        search: what proposes values, by name, with options.
        scheduler: which trials go on.
        trials: how many; None: 20, a population has 8, and a grid as many as it has points.
        budget_epochs: epochs of all trials together after which no further one begins, so that studies of different
            schedulers can be made at the same cost; None: no bound but ``trials``.
        concurrent: trials side by side; None: as many as the cluster holds, a population all.
        metric: what the study goes by, tasks or TASK.METRIC; None: the main task's first metric.
        seed: of what is drawn.
        retries: how often a failed trial is tried again.
    """

    space: Space
    search: Component
    scheduler: Scheduler
    scheduler_name: str
    trials: int | None = None
    budget_epochs: int | None = None
    concurrent: int | None = None
    metric: tuple[str, ...] | None = None
    seed: int = 0
    retries: int = 1

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> TuneSettings:
        """Return the settings that a recipe gives at ``tune``.

        Raises:
            UserError: an unknown key (the nearest is named), or a value without a meaning.
        """
        known = [name for name in names(cls) if name != "scheduler_name"]
        for key in value:
            if key not in known:
                raise UserError(f"there is no key 'tune.{key}': {nearest(key, known)}")
        given = {key: inner for key, inner in value.items() if inner is not None}
        least = {"trials": 1, "budget_epochs": 1, "concurrent": 1, "seed": 0, "retries": 0}
        for key in least.keys() & given.keys():
            at_least(f"tune.{key}", given[key], least[key])
        chosen = Component.parse("tune.scheduler", given.get("scheduler", "none"))
        space = Space.parse(given.get("space"))
        return cls(
            **{key: given[key] for key in least if key in given},
            space=space,
            search=Component.parse("tune.search", given.get("search", _usual_search(space, chosen.name))),
            scheduler=schedulers.build(chosen.name, chosen.options),
            scheduler_name=chosen.name,
            metric=_metric(given.get("metric")),
        )

    @property
    def is_multi(self) -> bool:
        """Whether several metrics are searched at once."""
        return self.search.name == "multi"


def _usual_search(space: Space, scheduler: str) -> str:
    if all(isinstance(each, Choice) and each.ordered for each in space.dimensions):
        return "grid"
    return "random" if scheduler in ("pbt", "pb2") else "tpe"


def _metric(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    named = [value] if isinstance(value, str) else value
    check_value("tune.metric", list[str], named)
    assert isinstance(named, list)
    return tuple(named)


def tune_part(own: object, overrides: Sequence[str], file: Path | None) -> tuple[dict[str, Any], list[str]]:
    """Return the recipe's ``tune``, and the overrides that are not about it.

    Args:
        own: what the recipe holds at ``tune``.
        overrides: ``key=value``; those of ``tune.KEY`` come last, ``tune=FILE`` is as ``file``.
        file: YAML that holds what a recipe's ``tune`` does, or a space alone; it goes before the recipe's own.

    Raises:
        UserError: a file that cannot be read, or a ``tune`` that is no mapping.
    """
    rest: list[str] = []
    set_last: dict[str, Any] = {}
    for override in overrides:
        if not override.startswith(("tune=", "tune.")):
            rest.append(override)
            continue
        key, value = parse_override(override)
        if key == "tune" and isinstance(value, str):
            file = Path(value)
        else:
            set_last[key] = value
    part = {**_mapping("tune", own), **(_read(file) if file is not None else {})}
    for key, value in set_last.items():
        _set(part, key.split(".")[1:], value)
    return part, rest


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise UserError(f"there is no file {str(file)!r} of a search space: give a YAML file")
    part = read_own(file, str(file))
    part = _mapping("tune", part["tune"]) if set(part) == {"tune"} else part
    return part if set(part) & set(names(TuneSettings)) else {"space": part}


def _set(part: dict[str, Any], path: list[str], value: Any) -> None:
    if not path:
        part.update(_mapping("tune", value))
        return
    if path[0] == "space" and len(path) > 1:  # keys of a space are dotted or nested: one way only
        before = Space.parse(part["space"]).plain() if part.get("space") else {}
        part["space"] = {**before, ".".join(path[1:]): value}
        return
    node = part
    for step in path[:-1]:
        inner = node.get(step)
        node[step] = {"name": inner} if isinstance(inner, str) else dict(_mapping(step, inner))
        node = node[step]
    node[path[-1]] = value


def _mapping(where: str, value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UserError(f"{where} is {value!r}: give a mapping, with space: KEY: {{uniform: [low, high]}}")
    return {str(key): inner for key, inner in value.items()}
