"""Where a face is turned."""

from __future__ import annotations

from descant.tasks import Classification, register_task


@register_task("pose")
class Pose(Classification):
    """Head pose in five steps from left profile to right profile."""

    label = "pose"
    flip_classes = {"left profile": "right profile", "left": "right"}
