"""All yes-or-no attributes of a data set."""

from __future__ import annotations

from descant.tasks import BinaryAttributes, register_task


@register_task("attributes")
class Attributes(BinaryAttributes):
    """Every attribute of a face, or of what else: the label ``attributes``, a list, or each label of two classes."""
