"""The picture at the bottom right of two."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("bottom_right")
class BottomRight(Classification):
    """What the picture at the bottom right of a canvas shows, of 'descant pack idx --pairs'."""

    label = "bottom_right"
