"""The fine class, told from a late layer."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("fine_late")
class FineLate(Classification):
    """CIFAR-100's classes once more: an auxiliary classifier for a late inner layer, which the recipe names."""

    label = "fine"
