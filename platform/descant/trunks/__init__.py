"""Trunks: shared networks with named features."""

from descant.trunks.base import Shapes, Trunk, build_trunk, only_input, register_trunk, trunks
from descant.trunks.bilstm import BiLSTM
from descant.trunks.mlp import MLP
from descant.trunks.timm import Timm

__all__ = ["MLP", "BiLSTM", "Shapes", "Timm", "Trunk", "build_trunk", "only_input", "register_trunk", "trunks"]
