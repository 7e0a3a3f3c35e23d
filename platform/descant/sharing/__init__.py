"""How tasks share trunks."""

from descant.sharing.adapters import Adapters
from descant.sharing.base import Coupling, MakeTrunk, Sharing, sharings
from descant.sharing.cross_stitch import CrossStitch
from descant.sharing.hard import HardSharing
from descant.sharing.mmoe import MMoE
from descant.sharing.mtan import MTAN
from descant.sharing.ple import CGC, PLE
from descant.sharing.soft import SoftSharing

__all__ = [
    "CGC",
    "MTAN",
    "PLE",
    "Adapters",
    "Coupling",
    "CrossStitch",
    "HardSharing",
    "MMoE",
    "MakeTrunk",
    "Sharing",
    "SoftSharing",
    "sharings",
]
