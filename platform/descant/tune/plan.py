"""A study before its first trial: composed, bound to its data and checked, so that what is wrong shows at once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant.errors import UserError
from descant.launch.prepare import composed
from descant.recipe import Recipe, compose, parse_recipe
from descant.report.numbers import counted
from descant.tune.explore import check_in_flight
from descant.tune.objective import Objective, objectives
from descant.tune.schedulers import Population
from descant.tune.search import GridSearch, Params, Search, searches
from descant.tune.settings import MANY, MEMBERS, TRIALS, TuneSettings, tune_part
from descant.values import written

if TYPE_CHECKING:
    from descant.loop.experiment import Experiment

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


def make_plan(recipe: str, overrides: Sequence[str] = (), file: Path | None = None) -> Plan:
    """Compose a study, and try its recipe with values from all over the space.

    Raises:
        UserError: whatever cannot work, in one sentence.
    """
    own = compose(recipe, [each for each in overrides if not each.startswith(("tune=", "tune."))]).get("tune")
    part, rest = tune_part(own, overrides, file)
    settings = TuneSettings.parse(part)
    plain, plugins = composed(recipe, rest)
    plain.pop("tune", None)
    base = parse_recipe(plain)
    if base.run.runner == "inline":
        raise UserError("trials train on Ray, and run=inline is without: take it out")
    experiment = _checked(base)
    main = base.main
    multi = settings.is_multi
    judged = objectives(experiment.tasks, main, settings.metric, multi)
    if multi != (len(judged) > 1):
        named = ", ".join(each.name for each in judged)
        raise UserError(
            f"tune.search={settings.search.name} goes by {'several metrics' if multi else 'one metric'}, and has "
            f"{named}: " + ("name two tasks or more in tune.metric" if multi else "name one, or take multi")
        )
    if multi and settings.scheduler.compares:
        raise UserError(
            f"tune.scheduler={settings.scheduler_name} compares trials by one metric, and tune.search=multi has "
            f"several: take tune.scheduler=none, or tune.search=tpe"
        )
    plan = Plan(
        recipe=recipe,
        overrides=tuple(rest),
        settings=settings,
        base=base,
        plugins=plugins,
        data=experiment.description.fingerprint,
        objectives=judged,
        kept_by=objectives(experiment.tasks, main, None, False)[0],
        tasks=objectives(experiment.tasks, main, None, True),
        epochs=_check_comparisons(experiment, settings),
    )
    plan.search()
    _check_population(plan)
    _check_space(plan)
    return plan


def _checked(recipe: Recipe) -> Experiment:
    from descant.loop.checks import check
    from descant.loop.experiment import Experiment

    experiment = Experiment.build(recipe, tests=False)
    check(experiment)
    return experiment


def _check_space(plan: Plan) -> None:
    for params in plan.settings.space.corners():
        values = ", ".join(f"{key}={written(value)}" for key, value in params.items())
        try:
            with _quiet():
                _checked(parse_recipe(plan.recipe_of(0, params)))
        except UserError as error:
            raise UserError(f"the search space does not fit the recipe, with {values}: {error}") from error


def _check_comparisons(experiment: Experiment, settings: TuneSettings) -> int:
    """Return a trial's epochs; refuse a scheduler that has nothing to go by before a trial's end."""
    from descant.loop.cadence import Cadence
    from descant.loop.ranks import Ranks

    order = experiment.order(experiment.reader("train"), Ranks())
    trainer = experiment.recipe.trainer
    epochs = Cadence(trainer, order).epochs
    first = settings.scheduler.first_epoch
    before_end = [each for each in range(first, epochs) if each % trainer.evaluate_epochs == 0]
    if settings.scheduler.compares and not before_end:
        what = "a checkpoint to take over" if settings.scheduler.is_population else "an evaluation to compare"
        raise UserError(
            f"tune.scheduler={settings.scheduler_name} needs {what} before a trial's end, and the recipe has none: it "
            f"trains for {counted(epochs, 'epoch')}, trainer.evaluate_epochs is {trainer.evaluate_epochs}, and the "
            f"scheduler begins with epoch {first}; raise trainer.epochs, or take tune.scheduler=none"
        )
    return epochs


def _check_population(plan: Plan) -> None:
    settings, trials = plan.settings, plan.trials
    if not isinstance(settings.scheduler, Population):
        return
    check_in_flight(settings.scheduler_name, settings.scheduler, settings.space)
    if trials < 2:
        raise UserError(f"tune.scheduler={settings.scheduler_name} needs two trials at least: raise tune.trials")
    if settings.concurrent is not None and settings.concurrent < trials:
        raise UserError(
            f"tune.scheduler={settings.scheduler_name} trains its {trials} trials side by side, and tune.concurrent is "
            f"{settings.concurrent}: take tune.concurrent out, or set tune.trials={settings.concurrent}"
        )
    if settings.search.name == "grid" and isinstance(plan.search(), GridSearch):
        raise UserError(
            f"tune.scheduler={settings.scheduler_name} changes values on the way, and a grid's are fixed: "
            f"take tune.search=random"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings to the recipe as it is: each point of the space would repeat them."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


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
