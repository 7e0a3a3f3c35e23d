"""Small corpora made from a seed, in the raw layouts of FMA and MTFL: the demo goes the way of real data."""

from __future__ import annotations

from descant.demo.faces import make_faces
from descant.demo.music import make_music

__all__ = ["make_faces", "make_music"]
