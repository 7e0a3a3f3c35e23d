"""The input given back."""

from __future__ import annotations

from descant.tasks import Reconstruction, register_task


@register_task("reconstruction")
class ReconstructInput(Reconstruction):
    """Give the clean input back from the shared feature: an auxiliary that needs no labels."""
