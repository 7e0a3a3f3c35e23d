"""Optimizers by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from descant.errors import UserError, nearest
from descant.recipe import OptimizerSettings
from descant.values import check_value, type_hints

_CLASSES: dict[str, Any] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def build_optimizer(settings: OptimizerSettings, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return torch's optimizer; its learning rate is set at each epoch.

    Raises:
        UserError: an option that torch's class does not take or refuses.
    """
    cls = _CLASSES[settings.name]
    known = [name for name in inspect.signature(cls).parameters if name not in ("params", "lr")]
    for option in settings.options:
        if option not in known:
            raise UserError(f"the optimizer {settings.name!r} has no option {option!r}: {nearest(option, known)}")
        check_value(f"optimizer.{option}", type_hints(cls.__init__).get(option, Any), settings.options[option])
    try:
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        optimizer: torch.optim.Optimizer = cls(trained, lr=settings.lr.at(0, 1), **settings.options)
    except (TypeError, ValueError) as error:
        raise UserError(f"the optimizer {settings.name!r} refuses its options: {error}") from error
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = lr
