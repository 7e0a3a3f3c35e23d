"""Balancing the tasks' losses and gradients."""

from descant.balance.base import Balancer, GramianBalancer, LossBalancer, Signals, balancers
from descant.balance.cov import Cov
from descant.balance.dtp import Dtp
from descant.balance.dwa import Dwa
from descant.balance.famo import Famo
from descant.balance.gls import Gls
from descant.balance.imtl_l import ImtlL
from descant.balance.rlw import Rlw
from descant.balance.si import Si
from descant.balance.static import Static
from descant.balance.stch import Stch
from descant.balance.uncertainty import Uncertainty

__all__ = [
    "Balancer",
    "Cov",
    "Dtp",
    "Dwa",
    "Famo",
    "Gls",
    "GramianBalancer",
    "ImtlL",
    "LossBalancer",
    "Rlw",
    "Si",
    "Signals",
    "Static",
    "Stch",
    "Uncertainty",
    "balancers",
]
