"""Heads: small modules from one feature of the trunk to a task's output."""

from descant.heads.decoder import FrameDecoder, ImageDecoder
from descant.heads.mlp import mlp

__all__ = ["FrameDecoder", "ImageDecoder", "mlp"]
