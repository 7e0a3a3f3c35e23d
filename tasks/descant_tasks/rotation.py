"""By how much an image is turned."""

from __future__ import annotations

from descant.tasks import Rotation, register_task


@register_task("rotation")
class TellRotation(Rotation):
    """By which multiple of 90 degrees an image is turned: an auxiliary that needs no labels."""
