"""The gender of a face."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("gender")
class Gender(Classification):
    """Whether a face is a man's or a woman's, as MTFL labels it."""

    label = "gender"
