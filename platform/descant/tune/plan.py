"""What a study does, and what of it has to stay the same for it to go on."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant.launch.prepare import composed
from descant.recipe import Recipe
from descant.tune.objective import Objective
from descant.tune.search import Params, Search, searches
from descant.tune.settings import MANY, MEMBERS, TRIALS, TuneSettings
from descant.values import written

if TYPE_CHECKING:
    pass

logger = logging.getLogger("descant")


@dataclass(frozen=True)
class Plan:
    """What a study does.

    Attributes:
        recipe, overrides: what trials are composed from, without ``tune``.
        settings: how it searches.
        base: the recipe without the values of a trial.
        plugins: as in a RunRequest.
        data: the data set's fingerprint.
        objectives: what trials are judged by, the first one by schedulers.
        kept_by: the main task's first metric, by which each run keeps its best checkpoint.
        tasks: the first metric of each task, the main one first: what the front of the tasks is made of.
        epochs: of a whole trial.
    """

    recipe: str
    overrides: tuple[str, ...]
    settings: TuneSettings
    base: Recipe
    plugins: list[dict[str, str]]
    data: str
    objectives: tuple[Objective, ...]
    kept_by: Objective
    tasks: tuple[Objective, ...]
    epochs: int

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return (Path(self.base.run.dir) / (self.base.run.name or f"tune-{self.base.name}")).absolute()

    @property
    def front_of(self) -> tuple[Objective, ...]:
        """What the Pareto front is made of: the metrics that are searched, or those of all tasks."""
        return self.objectives if len(self.objectives) > 1 else self.tasks

    @property
    def trials(self) -> int:
        """How many trials there are."""
        points = self.search().limit() if self.settings.search.name == "grid" else None
        many = MANY if self.settings.budget_epochs else TRIALS
        usual = MEMBERS if self.settings.scheduler.is_population else points or many
        asked = self.settings.trials or usual
        return asked if points is None else min(asked, points)

    def search(self) -> Search:
        """Return what proposes trials, at its start."""
        chosen, settings = self.settings.search, self.settings
        return searches.build(
            chosen.name, chosen.options, space=settings.space, objectives=self.objectives, seed=settings.seed
        )

    def recipe_of(self, number: int, params: Params) -> dict[str, Any]:
        """Return the recipe of a trial."""
        plain, _ = composed(self.recipe, self.overrides, params)
        plain.pop("tune", None)
        return {**plain, "run": {**self.base.run.plain, "name": f"{number:04d}", "dir": str(self.folder / "trials")}}

    def basis(self) -> dict[str, Any]:
        """Return what has to stay the same for a study to go on, as JSON."""
        left_out = ("run", "resume", "data", "data_help")
        settings = self.settings
        return {
            "recipe": {key: value for key, value in self.base.plain.items() if key not in left_out},
            "plugins": {plugin["name"]: _digest(plugin.get("source", "")) for plugin in self.plugins},
            "data": self.data,
            "space": settings.space.plain(),
            "search": {"name": settings.search.name, **settings.search.options},
            "scheduler": {"name": settings.scheduler_name, **vars(settings.scheduler)},
            "objectives": [each.plain() for each in self.objectives],
            "seed": settings.seed,
        }


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Say what another plan has that a study was not made with, empty where all that matters is the same."""
    from descant.recipe.recipe import differences

    words = differences(old["recipe"], new["recipe"])
    digests = old["plugins"]
    words += [f"the plugin {name!r} changed" for name, digest in new["plugins"].items() if digests.get(name) != digest]
    words += ["the data set changed"] if old["data"] != new["data"] else []
    for key in {**old["space"], **new["space"]}:
        before, after = old["space"].get(key), new["space"].get(key)
        words += [f"tune.space.{key}: {written(before)} → {written(after)}"] if before != after else []
    for key in ("search", "scheduler", "objectives", "seed"):
        if old[key] != new[key]:
            words.append(f"tune.{'metric' if key == 'objectives' else key}: {_told(old[key])} → {_told(new[key])}")
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return "; ".join(words[:3]) + more


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{each['task']}.{each['metric']}" for each in value)
    return written(value)
