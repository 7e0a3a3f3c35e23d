"""Balancing the tasks' losses and gradients."""

from descant.balance.aligned_mtl import AlignedMtl
from descant.balance.base import Balancer, GramianBalancer, LossBalancer, Signals, balancers
from descant.balance.cagrad import CaGrad
from descant.balance.config import ConFig
from descant.balance.cosine_gating import CosineGating
from descant.balance.dualproj import DualProj
from descant.balance.fairgrad import FairGrad
from descant.balance.gradnorm import GradNorm
from descant.balance.gradvac import GradVac
from descant.balance.imtl import Imtl
from descant.balance.imtl_g import ImtlG
from descant.balance.magnitude_matching import MagnitudeMatching
from descant.balance.main_projection import MainProjection
from descant.balance.mgda import Mgda
from descant.balance.nash_mtl import NashMtl
from descant.balance.ol_aux import OlAux
from descant.balance.pcgrad import PcGrad
from descant.balance.static import Static
from descant.balance.upgrad import UpGrad

__all__ = [
    "AlignedMtl",
    "Balancer",
    "CaGrad",
    "ConFig",
    "CosineGating",
    "DualProj",
    "FairGrad",
    "GradNorm",
    "GradVac",
    "GramianBalancer",
    "Imtl",
    "ImtlG",
    "LossBalancer",
    "MagnitudeMatching",
    "MainProjection",
    "Mgda",
    "NashMtl",
    "OlAux",
    "PcGrad",
    "Signals",
    "Static",
    "UpGrad",
    "balancers",
]
