"""What an exported program takes for one input.

Shapes: B samples, V views of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from descant.lazy import torch


@dataclass(frozen=True)
class Front:
    """What a program takes, and how it becomes what the trunk sees.

    Attributes:
        shape: of what it takes, without the batch; a text is the name of an axis of any size.
        dtype: torch's name of its type.
        about: what else a user has to know, as plain JSON: unit, layout, rate, what has been or must be done.
        apply: (B, *shape) → (B · V, …), the views of a sample side by side; None: it is what the trunk sees.
        least: the smallest size of each named axis.
        views: V.
    """

    shape: tuple[int | str, ...]
    dtype: str = "float32"
    about: Mapping[str, Any] = field(default_factory=dict)
    apply: Callable[[torch.Tensor], torch.Tensor] | None = None
    least: Mapping[str, int] = field(default_factory=dict)
    views: int = 1
