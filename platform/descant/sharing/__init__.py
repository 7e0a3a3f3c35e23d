"""How tasks share trunks."""

from descant.sharing.base import MakeTrunk, Sharing, sharings
from descant.sharing.hard import HardSharing

__all__ = ["HardSharing", "MakeTrunk", "Sharing", "sharings"]
