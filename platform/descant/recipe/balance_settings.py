"""How the tasks of a recipe are weighed against each other, as typed, frozen settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from descant.errors import UserError
from descant.recipe.settings import Component, at_least, typed

BALANCE_KEYS = ("every", "level", "layers", "momentum", "normalise")
"""The keys of ``balance`` that are the engine's; ``name`` is the balancer's, all others are its own options."""


@dataclass(frozen=True)
class BalanceSettings:
    """The balancer, and how it is asked.

    Attributes:
        method: the balancer by name, with its options.
        every: steps from one decision to the next.
        level: where gradients are looked at: at the features that heads read (``representation``), or at the shared
            parameters (``parameter``), which costs a backward pass for each task; None is the method's own.
        layers: modules whose parameters alone are looked at, by dotted names; None is all that is shared.
        momentum: how much of the Gramian is that of the steps before, from 0 up to 1.
        normalise: what each loss is put in proportion to before anything else: its logarithm's slope (``log``), its
            value at the first step (``initial``), its running mean (``mean``), or nothing.
    """

    method: Component
    every: int = 1
    level: Literal["representation", "parameter"] | None = None
    layers: Sequence[str] | None = None
    momentum: float = 0.0
    normalise: Literal["log", "initial", "mean"] | None = None

    @classmethod
    def parse(cls, value: object) -> BalanceSettings:
        """Return the settings that a recipe gives at ``balance``: a balancer's name, or a mapping with ``name``."""
        method = Component.parse("balance", value)
        own = {key: option for key, option in method.options.items() if key in BALANCE_KEYS}
        rest: Mapping[str, object] = {key: option for key, option in method.options.items() if key not in own}
        made = typed("balance", cls, {**own, "method": Component(method.name, rest)})
        at_least("balance.every", made.every, 1)
        if not 0.0 <= made.momentum < 1.0:
            raise UserError(f"balance.momentum is {made.momentum!r}: give a number from 0 up to 1")
        return made
