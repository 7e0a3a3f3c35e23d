"""Heads: small modules from one feature of the trunk to a task's output."""

from descant.heads.base import Head, heads, register_head
from descant.heads.decoder import Decoder, FrameDecoder, ImageDecoder
from descant.heads.heatmap import HeatmapHead
from descant.heads.inception import InceptionHead
from descant.heads.mlp import LinearHead, MLPHead, mlp
from descant.heads.sequence import SequenceHead

__all__ = [
    "Decoder",
    "FrameDecoder",
    "Head",
    "HeatmapHead",
    "ImageDecoder",
    "InceptionHead",
    "LinearHead",
    "MLPHead",
    "SequenceHead",
    "heads",
    "mlp",
    "register_head",
]
