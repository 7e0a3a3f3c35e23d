"""The order of an image's tiles."""

from __future__ import annotations

from descant.tasks import Jigsaw, register_task


@register_task("jigsaw")
class TellTiles(Jigsaw):
    """In which order the tiles of an image stand: an auxiliary that needs no labels."""
