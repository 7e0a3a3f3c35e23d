"""The hidden parts of the input."""

from __future__ import annotations

from descant.tasks import MaskedReconstruction, register_task


@register_task("masked")
class GuessHidden(MaskedReconstruction):
    """Guess hidden frames or patches of the clean input from the rest: an auxiliary that needs no labels."""
