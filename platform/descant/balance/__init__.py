"""Balancing the tasks' losses and gradients."""

from descant.balance.base import Balancer, GramianBalancer, LossBalancer, Signals, balancers
from descant.balance.cov import Cov
from descant.balance.dtp import Dtp
from descant.balance.dwa import Dwa
from descant.balance.exp3s import Exp3S
from descant.balance.famo import Famo
from descant.balance.gls import Gls
from descant.balance.imtl_l import ImtlL
from descant.balance.policy_gradient import PolicyGradient
from descant.balance.rlw import Rlw
from descant.balance.si import Si
from descant.balance.static import Static
from descant.balance.stch import Stch
from descant.balance.thompson import Thompson
from descant.balance.uncertainty import Uncertainty

__all__ = [
    "Balancer",
    "Cov",
    "Dtp",
    "Dwa",
    "Exp3S",
    "Famo",
    "Gls",
    "GramianBalancer",
    "ImtlL",
    "LossBalancer",
    "PolicyGradient",
    "Rlw",
    "Si",
    "Signals",
    "Static",
    "Stch",
    "Thompson",
    "Uncertainty",
    "balancers",
]
