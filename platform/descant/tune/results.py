"""What a study came to: its trials from the best on, the front of its tasks, and which keys mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from descant.errors import UserError
from descant.report.files import read_object
from descant.tune.exchange import record
from descant.tune.importance import importance
from descant.tune.objective import Evaluation, Objective, Values, best
from descant.tune.plan import Plan
from descant.tune.search import Params
from descant.tune.space import Space
from descant.tune.study import STUDY, Study


@dataclass(frozen=True)
class Result:
    """One trial.

    Attributes:
        params: the values that it ended with.
        status: ``finished``, ``stopped``, ``failed``, ``waiting`` or ``running``.
        values: of every task's metrics at its best epoch; empty where it has none that counts.
        epochs, best_epoch: how many it trained, and after how many it was best; counted from 1.
        changes: which values held from which epoch and step on, see ``exchange.record``.
        errors: why tries failed.
    """

    number: int
    folder: Path
    params: Params
    status: str
    values: Values
    epochs: int
    best_epoch: int | None
    changes: tuple[Mapping[str, Any], ...]
    lineage: tuple[Mapping[str, Any], ...]
    errors: tuple[str, ...]
    course: tuple[Evaluation, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether the trial is a result: a failed one never is, nor one that is not at its end."""
        return self.status in ("finished", "stopped") and bool(self.values)

    def value(self, objective: Objective) -> float:
        """Return an objective's value, NaN where there is none."""
        return self.values.get(objective.name, math.nan)

    def plain(self) -> dict[str, Any]:
        """Return the trial as JSON."""
        values = {name: value if math.isfinite(value) else None for name, value in self.values.items()}
        named = {"number": self.number, "status": self.status, "params": self.params, "values": values}
        return {**named, "epochs": self.epochs, "best_epoch": self.best_epoch, "changes": list(self.changes),
                "errors": list(self.errors)}  # fmt: skip


@dataclass(frozen=True)
class Results:
    """A study's trials, those that count first and the best of them at the top.

    Attributes:
        front: numbers of the trials that no other one beats in all of ``plan.front_of``.
        importance: for each objective, each key's share of what made trials differ; empty where that is not known.
    """

    plan: Plan
    trials: tuple[Result, ...]
    front: tuple[int, ...]
    importance: Mapping[str, Mapping[str, float]]

    @property
    def best(self) -> Result | None:
        """The best trial by the first objective."""
        return next((trial for trial in self.trials if trial.counts), None)

    @property
    def failed(self) -> list[Result]:
        """The trials that failed."""
        return [trial for trial in self.trials if trial.status == "failed"]

    def plain(self) -> dict[str, Any]:
        """Return the results as JSON."""
        best = self.best
        return {
            "best": None if best is None else best.number,
            "front": {"of": [each.name for each in self.plan.front_of], "trials": list(self.front)},
            "importance": {name: dict(shares) for name, shares in self.importance.items()},
            "results": [trial.plain() for trial in self.trials],
        }


def results(study: Study) -> Results:
    """Return what a study has come to so far."""
    plan = study.plan
    found = [_result(study, each.number) for each in study.trials]
    first = plan.objectives[0]
    found.sort(key=lambda trial: (not trial.counts, -first.score(trial.value(first)), trial.number))
    counting = [trial for trial in found if trial.counts]
    scores = [[each.score(trial.value(each)) for each in plan.front_of] for trial in counting]
    front = [counting[at].number for at in pareto(scores)] if len(plan.front_of) > 1 else []
    return Results(plan, tuple(found), tuple(front), _importance(plan, counting))


def pareto(scores: Sequence[Sequence[float]]) -> list[int]:
    """Return which rows no other row beats: nowhere worse and somewhere better; greater is better. In their order."""
    table = np.asarray(scores, dtype=float)
    kept = []
    for at, row in enumerate(table):
        beaten = (table >= row).all(axis=1) & (table > row).any(axis=1)
        if np.isfinite(row).all() and not beaten.any():
            kept.append(at)
    return kept


def _result(study: Study, number: int) -> Result:
    trial, course = study.trials[number], study.evaluations(number)
    chosen = best(course, study.plan.kept_by)
    its = record(study.path(number))
    return Result(
        number=number,
        folder=study.path(number),
        params=study.params_now(number),
        status=trial.status,
        values=chosen.values if chosen is not None and trial.status != "failed" else {},
        epochs=max((each.epochs for each in course), default=0),
        best_epoch=None if chosen is None else chosen.epochs,
        changes=tuple(its.get("changes", [])),
        lineage=tuple(its.get("lineage", [])),
        errors=tuple(trial.errors),
        course=tuple(course),
    )


def _importance(plan: Plan, counting: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Return the shares; of a population, whose values changed on the way, there are none."""
    if plan.settings.scheduler.is_population:
        return {}
    params = [trial.params for trial in counting]
    of = {each.name: [each.score(trial.value(each)) for trial in counting] for each in plan.objectives}
    found = {name: importance(plan.settings.space, params, scores) for name, scores in of.items()}
    return {name: shares for name, shares in found.items() if shares}


def learned_from(place: Path, plan: Plan) -> list[dict[str, Any]]:
    """Return the trials of a study, for another one to begin with: ``{"params", "values"}`` of each.

    Raises:
        UserError: no study, no trial that counts, or a search that does not learn from them.
    """
    if not plan.search().learns:
        raise UserError(f"tune.search={plan.settings.search.name} learns from no trial: take --from out, or take tpe")
    study = read_object(place / STUDY)
    if not study:
        raise UserError(f"{str(place)!r} is no folder of a study: give one that 'descant tune' has made")
    names = [each.name for each in plan.objectives]
    trials = [each for each in study.get("results", []) if each["status"] in ("finished", "stopped")]
    space = plan.settings.space
    if trials and set(trials[0]["params"]) != set(space.keys):
        raise UserError(
            f"the study {str(place)!r} searched {', '.join(trials[0]['params'])}, and this one searches "
            f"{', '.join(space.keys)}: --from needs the same keys"
        )
    found = [
        {"params": each["params"], "values": [each["values"][name] for name in names]}
        for each in trials
        if all(each["values"].get(name) is not None for name in names) and _fits(space, each["params"])
    ]
    if not found:
        raise UserError(
            f"no trial of the study {str(place)!r} tells this one anything: none has ended with "
            f"{', '.join(names)} and values within this space"
        )
    return found


def _fits(space: Space, params: Mapping[str, Any]) -> bool:
    return space.holds(params)
