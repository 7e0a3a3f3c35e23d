"""Trunks: shared networks with named features."""

from descant.trunks.base import Shapes, Trunk, build_trunk, only_input, register_trunk, trunks
from descant.trunks.bilstm import BiLSTM
from descant.trunks.lenet import LeNet
from descant.trunks.mlp import MLP
from descant.trunks.staged import StagedTrunk
from descant.trunks.tcdcn import TCDCN
from descant.trunks.timm import Timm

__all__ = [
    "MLP",
    "TCDCN",
    "BiLSTM",
    "LeNet",
    "Shapes",
    "StagedTrunk",
    "Timm",
    "Trunk",
    "build_trunk",
    "only_input",
    "register_trunk",
    "trunks",
]
