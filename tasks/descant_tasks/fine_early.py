"""The fine class, told from an early layer."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("fine_early")
class FineEarly(Classification):
    """CIFAR-100's classes once more: an auxiliary classifier for an early inner layer, which the recipe names."""

    label = "fine"
