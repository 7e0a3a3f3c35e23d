"""A recipe as typed, frozen settings: what the rest of the program reads; YAML ends here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from descant.errors import UserError, nearest
from descant.schedules import Schedule, parse_schedule
from descant.values import check_value, type_hints

S = TypeVar("S")


@dataclass(frozen=True)
class Component:
    """A registered class by name, with its options: a trunk, a sharing scheme, a balancer, an input."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, where: str, value: object) -> Component:
        """Return the component of ``name`` or ``{name: …, option: …}``."""
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            return cls(value["name"], {key: option for key, option in value.items() if key != "name"})
        raise UserError(f"{where} is {value!r}: give a name, or a mapping with 'name' and options")


@dataclass(frozen=True)
class TrainerSettings:
    """How long and how to train.

    Attributes:
        epochs: passes over the training split.
        steps: an upper bound of optimizer steps, or None.
        batch_size: samples of one optimizer step over all workers.
        micro_batch: samples of one forward pass of one worker; None: all of its share at once.
        precision: ``fp32``, or ``bf16`` for automatic mixed precision.
        clip_norm: the largest norm of the whole gradient, or None.
        log_steps: steps between rows of the log; the end of an epoch always gives one.
        evaluate_epochs: epochs between evaluations; the last epoch always has one.
        checkpoint_steps, checkpoint_s: steps and seconds between checkpoints within an epoch, or None.
        loader_workers: processes that read and decode for each worker; None: as many as cores are left, at most 4.
        quarantine_limit: the share of unreadable samples beyond which a run stops.
        nonfinite_steps: how many steps in a row a task's loss may be NaN or infinite; such a step is taken without it.
        nonfinite_action: what comes then: ``suspend`` the task, if it is not the main one, or ``stop`` the run.
        deterministic: ask torch for deterministic algorithms.
        mixup_alpha: mix training samples, by shares from Beta(alpha, alpha); None: do not.
        mixup_chance: how likely a sample is mixed; the others teach the tasks that take no mixtures.
    """

    epochs: int = 10
    steps: int | None = None
    batch_size: int = 32
    micro_batch: int | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    clip_norm: float | None = None
    log_steps: int = 10
    evaluate_epochs: int = 1
    checkpoint_steps: int | None = None
    checkpoint_s: float | None = 60.0
    loader_workers: int | None = None
    quarantine_limit: float = 0.01
    nonfinite_steps: int = 10
    nonfinite_action: Literal["suspend", "stop"] = "suspend"
    deterministic: bool = False
    mixup_alpha: float | None = None
    mixup_chance: float = 0.5

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning."""
        for name in ("epochs", "batch_size", "log_steps", "evaluate_epochs"):
            at_least(f"trainer.{name}", getattr(self, name), 1)
        for name in ("steps", "micro_batch", "checkpoint_steps"):
            if getattr(self, name) is not None:
                at_least(f"trainer.{name}", getattr(self, name), 1)
        if self.loader_workers is not None:
            at_least("trainer.loader_workers", self.loader_workers, 0)
        at_least("trainer.nonfinite_steps", self.nonfinite_steps, 0)
        for name in ("clip_norm", "checkpoint_s", "mixup_alpha"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise UserError(f"trainer.{name} is {getattr(self, name)!r}: give a number above 0, or null")
        for name in ("quarantine_limit", "mixup_chance"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"trainer.{name} is {getattr(self, name)!r}: give a share from 0 to 1")


@dataclass(frozen=True)
class OptimizerSettings:
    """The optimizer of all parameters.

    Attributes:
        name: ``adam``, ``adamw`` or ``sgd``.
        lr: the learning rate over the epochs.
        options: further arguments of torch's class.
    """

    name: str = "adam"
    lr: Schedule = dataclasses.field(default_factory=lambda: parse_schedule("optimizer.lr", 1e-3))
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> OptimizerSettings:
        """Return the settings that a recipe gives at ``optimizer``."""
        options = dict(value)
        name = options.pop("name", "adam")
        if name not in ("adam", "adamw", "sgd"):
            raise UserError(f"optimizer.name is {name!r}: {nearest(str(name), ('adam', 'adamw', 'sgd'))}")
        lr = parse_schedule("optimizer.lr", options.pop("lr", 1e-3))
        if any(lr.at(epoch, 10) < 0 for epoch in range(10)):
            raise UserError("optimizer.lr goes below zero: give learning rates from 0")
        return cls(name, lr, options)


def typed(where: str, cls: type[S], values: object) -> S:
    """Return ``cls(**values)``; an unknown key or a value of another type is a UserError that names it."""
    if not isinstance(values, Mapping):
        raise UserError(f"{where} is {values!r}: give a mapping of {', '.join(names(cls))}")
    for key in values:
        if key not in names(cls):
            known = [f"{where}.{name}" for name in names(cls)]
            raise UserError(f"there is no key '{where}.{key}': {nearest(f'{where}.{key}', known)}")
    for name, annotation in type_hints(cls).items():
        if name in values:
            check_value(f"{where}.{name}", annotation, values[name])
    return cls(**values)


def as_text(value: object) -> object:
    """Return a number as text, for keys such as names, which YAML may read as numbers; other values as they are."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def names(cls: type) -> list[str]:
    return [setting.name for setting in dataclasses.fields(cls)]


def at_least(where: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{where} is {value!r}: give a whole number from {least}")
