"""The fine class of a CIFAR-100 picture."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("fine")
class Fine(Classification):
    """Which of CIFAR-100's hundred classes a picture is of."""

    label = "fine"
