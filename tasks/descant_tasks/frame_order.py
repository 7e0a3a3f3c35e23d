"""The order of stretches of a spectrogram."""

from __future__ import annotations

from descant.tasks import FrameOrder, register_task


@register_task("frame_order")
class TellFrameOrder(FrameOrder):
    """In which order stretches of a spectrogram stand: an auxiliary that needs no labels."""
