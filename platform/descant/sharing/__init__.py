"""How tasks share trunks."""

from descant.sharing.base import Coupling, MakeTrunk, Sharing, sharings
from descant.sharing.hard import HardSharing

__all__ = ["Coupling", "HardSharing", "MakeTrunk", "Sharing", "sharings"]
