"""The contract of heads: small modules from one feature of the trunk to a task's output.

Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import nn

from descant.registry import Registry

Shape = tuple[int, ...]


class Head(nn.Module):
    """From a feature (B, *feature) to an output (B, *shape).

    A subclass's constructor takes ``feature`` and ``shape``, both without the batch, and the recipe's options; it is
    asked for nothing that ``takes`` refuses.

    Attributes:
        reads: the feature that it is attached to when neither recipe nor task name one; None: the task's own.
        needs: what ``takes`` asks for, for the sentence that says so.
    """

    reads: ClassVar[str | None] = None
    needs: ClassVar[str] = "another feature"

    @property
    def rows(self) -> nn.Linear | None:
        """The layer that makes each output from a row of weights of its own, None where there is none."""
        return None

    @classmethod
    def takes(cls, feature: Shape, shape: Shape) -> bool:
        """Return whether outputs of ``shape`` can be made from features of shape ``feature``."""
        return True


heads: Registry[Head] = Registry("head", "heads")


def register_head(name: str) -> Callable[[type[Head]], type[Head]]:
    """Register a head class under a name that recipes use (``tasks.NAME.head``)."""
    return heads.register(name)


def folded(shape: Shape) -> list[nn.Module]:
    """Return the layers that give flat outputs (B, n) the shape (B, *shape)."""
    return [nn.Unflatten(1, shape)] if len(shape) != 1 else []
