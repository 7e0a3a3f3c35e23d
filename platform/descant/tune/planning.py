"""A study before its first trial: composed, bound to its data and checked, so that what is wrong shows at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from descant.errors import UserError
from descant.launch.prepare import composed
from descant.recipe import Recipe, compose, parse_recipe
from descant.report.numbers import counted
from descant.tune.explore import check_in_flight
from descant.tune.objective import Objective, objectives
from descant.tune.plan import Plan
from descant.tune.schedulers import Population
from descant.tune.settings import TuneSettings, tune_part
from descant.values import written

if TYPE_CHECKING:
    from descant.loop.experiment import Experiment

logger = logging.getLogger("descant")


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
    tasks, main = experiment.tasks, base.main
    judged = objectives(tasks, main, settings.metric, settings.is_multi)
    _check_objectives(settings, judged)
    plan = Plan(
        recipe=recipe,
        overrides=tuple(rest),
        settings=settings,
        base=base,
        plugins=plugins,
        data=experiment.description.fingerprint,
        objectives=judged,
        kept_by=objectives(tasks, main, None, False)[0],
        tasks=objectives(tasks, main, None, True),
        epochs=_check_comparisons(experiment, settings),
    )
    plan.search()
    _check_population(plan)
    _check_space(plan)
    return plan


def _check_objectives(settings: TuneSettings, judged: Sequence[Objective]) -> None:
    """Refuse a search for one metric that has several, and the other way round."""
    multi = settings.is_multi
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
    if settings.search.name == "grid":
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
