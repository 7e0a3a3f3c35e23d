"""A smile on a face."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("smile")
class Smile(Classification):
    """Whether a face smiles."""

    label = "smile"
