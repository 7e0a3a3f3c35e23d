"""Balancing the tasks' losses and gradients."""

from descant.balance.base import Balancer, GramianBalancer, LossBalancer, Signals, balancers
from descant.balance.cagrad import CaGrad
from descant.balance.dualproj import DualProj
from descant.balance.fairgrad import FairGrad
from descant.balance.mgda import Mgda
from descant.balance.nash_mtl import NashMtl
from descant.balance.pcgrad import PcGrad
from descant.balance.static import Static
from descant.balance.upgrad import UpGrad

__all__ = [
    "Balancer",
    "CaGrad",
    "DualProj",
    "FairGrad",
    "GramianBalancer",
    "LossBalancer",
    "Mgda",
    "NashMtl",
    "PcGrad",
    "Signals",
    "Static",
    "UpGrad",
    "balancers",
]
