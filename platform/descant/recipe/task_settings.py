"""The tasks of a recipe as typed, frozen settings: their weights, their gates, and when they stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from descant.errors import UserError
from descant.recipe.settings import Component, at_least, typed
from descant.schedules import Constant, Schedule, parse_schedule
from descant.values import check_value

_GATES = {"pass": 1.0, "block": 0.0, "reverse": -1.0}
TASK_KEYS = ("role", "weight", "gradient", "mixup", "stop")
"""The keys of a task that are the engine's; all others are the task's own options."""

STOP_KEYS = ("rule", "per", "action", "min_epochs", "revive", "allow_main")
"""The keys of a task's ``stop`` that are the engine's; all others are the rule's own options."""


@dataclass(frozen=True)
class StopSettings:
    """When a task stops before the others, and what that does.

    Attributes:
        rule: a stop rule with its options.
        per: what the rule is asked for one by one, such as ``attribute``; None: the task as a whole.
        action: ``freeze`` keeps the head and scores it on, ``drop`` computes and decodes nothing of the task any more,
            ``restore`` puts back the head of the task's best validation loss and keeps that.
        min_epochs: epochs that the task trains at least, at its start and when it is taken up again.
        revive: the task is taken up again when its validation loss is worse by this share than when it stopped.
        allow_main: let the rule stop the main task, which ends the run.
    """

    rule: Component
    per: str | None = None
    action: Literal["freeze", "drop", "restore"] = "freeze"
    min_epochs: int = 1
    revive: float | None = None
    allow_main: bool = False

    @classmethod
    def parse(cls, where: str, value: object, role: str) -> StopSettings:
        """Return the settings that a recipe gives at ``where``: a rule's name, or a mapping with ``rule``."""
        options = {"rule": value} if isinstance(value, str) else value
        if not isinstance(options, Mapping) or not isinstance(options.get("rule"), str):
            raise UserError(f"{where} is {value!r}: give the name of a stop rule, or a mapping with 'rule' and options")
        own = {key: option for key, option in options.items() if key in STOP_KEYS}
        rule = Component(options["rule"], {key: option for key, option in options.items() if key not in own})
        made = typed(where, cls, {**own, "rule": rule})
        at_least(f"{where}.min_epochs", made.min_epochs, 1)
        if made.revive is not None and not made.revive >= 0:
            raise UserError(f"{where}.revive is {made.revive!r}: give a share from 0, or null")
        if made.revive is not None and made.action == "drop":
            raise UserError(
                f"{where} would revive a task that action=drop no longer scores: "
                f"take 'revive' out, or set action=freeze"
            )
        if role == "main" and not made.allow_main:
            raise UserError(
                f"{where} is set for the main task, and stopping it ends the run: set {where}.allow_main=true for that"
            )
        return made


@dataclass(frozen=True)
class TaskSettings:
    """One task of a recipe.

    Attributes:
        role: ``main`` or ``auxiliary``.
        weight: of its loss, over the epochs; None: the default of its kind.
        gradient: the factor on what its gradient does to the trunk, over the epochs: 1 passes, 0 blocks, -1 reverses.
        mixup: whether mixed samples teach it; None: as its kind does.
        stop: when it stops before the others; None: never.
        options: the arguments of the task's class.
    """

    role: Literal["main", "auxiliary"] = "auxiliary"
    weight: Schedule | None = None
    gradient: Schedule = field(default_factory=lambda: Constant(1.0))
    mixup: bool | None = None
    stop: StopSettings | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, value: Mapping[str, Any]) -> TaskSettings:
        """Return the settings that a recipe gives at ``tasks.<name>``."""
        options = dict(value)
        role = options.pop("role", "auxiliary")
        if role not in ("main", "auxiliary"):
            raise UserError(f"tasks.{name}.role is {role!r}: allowed are 'main' and 'auxiliary'")
        weight, gradient = options.pop("weight", None), options.pop("gradient", "pass")
        stop = options.pop("stop", None)
        stops = None if stop is None else StopSettings.parse(f"tasks.{name}.stop", stop, role)
        mixup = options.pop("mixup", None)
        check_value(f"tasks.{name}.mixup", bool | None, mixup)
        schedule = None if weight is None else parse_schedule(f"tasks.{name}.weight", weight)
        return cls(role, _not_negative(name, schedule), _gradient(name, gradient), mixup, stops, options)


def _gradient(name: str, value: object) -> Schedule:
    if isinstance(value, str):
        if value not in _GATES:
            raise UserError(
                f"tasks.{name}.gradient is {value!r}: allowed are {', '.join(map(repr, _GATES))}, "
                f"a factor and a schedule"
            )
        return Constant(_GATES[value])
    return parse_schedule(f"tasks.{name}.gradient", value)


def _not_negative(name: str, schedule: Schedule | None) -> Schedule | None:
    if schedule is not None and any(schedule.at(epoch, 10) < 0 for epoch in range(10)):
        raise UserError(f"tasks.{name}.weight goes below zero: give weights from 0")
    return schedule
