"""The genre of a clip."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("genre")
class Genre(Classification):
    """Which genre a clip is of; the classes are the data set's."""

    label = "genre"
