"""Task-wise early stopping: rules that say when a task has taught what it can."""

from descant.stopping.base import Curves, StopRule, register_stop_rule, rules
from descant.stopping.generalization_loss import GeneralizationLoss
from descant.stopping.patience import Patience
from descant.stopping.plateau import Plateau
from descant.stopping.transfer import Transfer
from descant.stopping.zhang2014 import Zhang2014

__all__ = [
    "Curves",
    "GeneralizationLoss",
    "Patience",
    "Plateau",
    "StopRule",
    "Transfer",
    "Zhang2014",
    "register_stop_rule",
    "rules",
]
