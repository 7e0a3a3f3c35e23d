"""Two views of a sample, found among those of others."""

from __future__ import annotations

from descant.tasks import Contrastive, register_task


@register_task("contrastive")
class TellSamples(Contrastive):
    """Which second view belongs to a sample: an auxiliary that needs no labels."""
