"""Glasses on a face."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("glasses")
class Glasses(Classification):
    """Whether a face wears glasses."""

    label = "glasses"
