"""What can be known to be wrong with a recipe's balance before anything trains."""

from __future__ import annotations

import logging
from collections.abc import Hashable

from descant.balance import Balancer, GradientBalancer, GramianBalancer, Static
from descant.errors import UserError
from descant.loop.balance_way import BalanceWay
from descant.loop.experiment import Experiment
from descant.loop.shared_gradients import shared_parameters
from descant.model import MultiTaskModel
from descant.recipe import BalanceSettings

logger = logging.getLogger("descant")


def check_method(experiment: Experiment) -> None:
    """Refuse a balancer that these tasks, or another setting, leave without what it goes by."""
    balancer, balance = experiment.build_balancer(), experiment.recipe.balance
    method = f"balance={balance.method.name}"
    if len(experiment.tasks) == 1 and not isinstance(balancer, Static):
        logger.warning("%s has one task and nothing to balance: the run is plain training", method)
    _check_keys(balancer, balance)
    if balancer.positive and balance.normalise == "log":
        raise UserError(
            f"{method} needs losses above 0, but balance.normalise=log makes them logarithms: set it to initial or "
            f"mean, or take it out"
        )
    for name, task in experiment.tasks.items() if balancer.needs_scores else ():
        metric, made = next(iter(task.metrics().items()), ("", None))
        if made is None or made.direction != "max":
            found = f"is {metric!r}, which is better when less" if metric else "is none at all"
            raise UserError(
                f"{method} weighs tasks by a metric from 0 to 1 that is better when greater, but the first one of "
                f"{name!r} {found}: name such a metric first, or take another balancer"
            )


def _check_keys(balancer: Balancer, balance: BalanceSettings) -> None:
    """Refuse keys that say nothing to the method."""
    method = f"balance={balance.method.name}"
    given = [key for key in ("level", "layers") if getattr(balance, key) is not None]
    if given and not balancer.levels:
        raise UserError(f"{method} goes by the losses alone and looks at no gradients: take balance.{given[0]} out")
    if balance.level is not None and balance.level not in balancer.levels:
        raise UserError(
            f"{method} makes its step of the gradients of parameters, which it follows over many steps: set "
            f"balance.level=parameter, or take it out"
        )
    if balance.layers is not None and (balance.level or balancer.levels[0]) != "parameter":
        raise UserError("balance.layers names modules whose parameters are looked at: set balance.level=parameter too")
    if isinstance(balancer, GradientBalancer):
        default = BalanceSettings(balance.method)
        for key in ("every", "momentum", "layers"):
            if getattr(balance, key) != getattr(default, key):
                raise UserError(
                    f"{method} makes the direction of each step anew, of all that is shared: take balance.{key} out"
                )
    if balancer.looks_ahead and balance.normalise is not None:
        raise UserError(f"{method} tries steps on the losses as they are: take balance.normalise out")
    if balancer.log_losses and balance.normalise not in (None, "log"):
        raise UserError(f"{method} is of the losses' logarithms: take balance.normalise out")


def check_reach(experiment: Experiment, model: MultiTaskModel) -> None:
    """Refuse a balancer that has nothing to compare the main task with, and name tasks that it cannot compare.

    Gradients at different features have nothing in common, whatever they do to the trunk below.
    """
    balancer, method = experiment.build_balancer(), f"balance={experiment.recipe.balance.method.name}"
    settings = experiment.recipe.balance
    shared_parameters(model.sharing, settings.layers)
    level = BalanceWay(balancer, settings).level
    if not isinstance(balancer, GramianBalancer) or level != "representation":
        return
    by_feature: dict[Hashable, list[str]] = {}
    for name, task in experiment.tasks.items():
        by_feature.setdefault((model.sharing.feature_key(name), name if task.own_view else None), []).append(name)
    beside = [name for names in by_feature.values() if len(names) == 1 for name in names]
    main = experiment.recipe.main
    if balancer.needs_angles and main in beside:
        raise UserError(
            f"{method} compares the gradients of tasks with the main task's at the feature that it reads, but no other "
            f"task reads that of {main!r}: have them read one feature of sharing=hard, or take another balancer"
        )
    if beside:
        names = ", ".join(beside)
        logger.warning(
            "%s cannot tell how the gradients of %s lie to those of other tasks, and goes by their lengths alone: no "
            "other task reads the same feature; have them read one feature of sharing=hard to compare them",
            method,
            names,
        )
