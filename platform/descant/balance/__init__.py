"""Balancing the tasks' losses and gradients."""

from descant.balance.base import Balancer, GramianBalancer, LossBalancer, Signals, balancers
from descant.balance.static import Static

__all__ = ["Balancer", "GramianBalancer", "LossBalancer", "Signals", "Static", "balancers"]
