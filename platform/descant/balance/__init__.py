"""Balancing the tasks' losses and gradients."""

from descant.balance.base import Balancer, GramianBalancer, LossBalancer, Signals, balancers
from descant.balance.dualproj import DualProj
from descant.balance.mgda import MGDA
from descant.balance.pcgrad import PCGrad
from descant.balance.static import Static
from descant.balance.upgrad import UPGrad

__all__ = [
    "MGDA",
    "Balancer",
    "DualProj",
    "GramianBalancer",
    "LossBalancer",
    "PCGrad",
    "Signals",
    "Static",
    "UPGrad",
    "balancers",
]
