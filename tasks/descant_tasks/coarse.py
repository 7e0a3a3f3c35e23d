"""The coarse class of a CIFAR-100 picture."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("coarse")
class Coarse(Classification):
    """Which of CIFAR-100's twenty superclasses a picture is of."""

    label = "coarse"
