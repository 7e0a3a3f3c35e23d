"""Balancing the tasks' losses and gradients."""

from descant.balance.aligned_mtl import AlignedMtl
from descant.balance.auto_lambda import AutoLambda
from descant.balance.base import (
    Balancer,
    Direction,
    GradientBalancer,
    GramianBalancer,
    LossBalancer,
    Signals,
    balancers,
)
from descant.balance.cagrad import CaGrad
from descant.balance.config import ConFig
from descant.balance.cosine_gating import CosineGating
from descant.balance.cov import Cov
from descant.balance.db_mtl import DbMtl
from descant.balance.dtp import Dtp
from descant.balance.dualproj import DualProj
from descant.balance.dwa import Dwa
from descant.balance.excess_mtl import ExcessMtl
from descant.balance.exp3s import Exp3S
from descant.balance.fairgrad import FairGrad
from descant.balance.famo import Famo
from descant.balance.gls import Gls
from descant.balance.graddrop import GradDrop
from descant.balance.gradnorm import GradNorm
from descant.balance.gradvac import GradVac
from descant.balance.imtl import Imtl
from descant.balance.imtl_g import ImtlG
from descant.balance.imtl_l import ImtlL
from descant.balance.magnitude_matching import MagnitudeMatching
from descant.balance.main_projection import MainProjection
from descant.balance.mgda import Mgda
from descant.balance.moco import MoCo
from descant.balance.nash_mtl import NashMtl
from descant.balance.ol_aux import OlAux
from descant.balance.pcgrad import PcGrad
from descant.balance.policy_gradient import PolicyGradient
from descant.balance.rlw import Rlw
from descant.balance.si import Si
from descant.balance.static import Static
from descant.balance.stch import Stch
from descant.balance.thompson import Thompson
from descant.balance.uncertainty import Uncertainty
from descant.balance.upgrad import UpGrad

__all__ = [
    "AlignedMtl",
    "AutoLambda",
    "Balancer",
    "CaGrad",
    "ConFig",
    "CosineGating",
    "Cov",
    "DbMtl",
    "Direction",
    "Dtp",
    "DualProj",
    "Dwa",
    "ExcessMtl",
    "Exp3S",
    "FairGrad",
    "Famo",
    "Gls",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "GradientBalancer",
    "GramianBalancer",
    "Imtl",
    "ImtlG",
    "ImtlL",
    "LossBalancer",
    "MagnitudeMatching",
    "MainProjection",
    "Mgda",
    "MoCo",
    "NashMtl",
    "OlAux",
    "PcGrad",
    "PolicyGradient",
    "Rlw",
    "Si",
    "Signals",
    "Static",
    "Stch",
    "Thompson",
    "Uncertainty",
    "UpGrad",
    "balancers",
]
