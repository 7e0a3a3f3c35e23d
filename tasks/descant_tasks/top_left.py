"""The picture at the top left of two."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("top_left")
class TopLeft(Classification):
    """What the picture at the top left of a canvas shows, of 'descant pack idx --pairs'."""

    label = "top_left"
