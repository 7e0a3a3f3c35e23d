"""Balancing the tasks' losses."""

from descant.balance.base import LossBalancer, balancers
from descant.balance.static import Static

__all__ = ["LossBalancer", "Static", "balancers"]
