"""Half precision, where sums or small differences need more."""

from __future__ import annotations

import torch
from torch import Tensor

_HALF = (torch.bfloat16, torch.float16)


def widened(value: Tensor) -> Tensor:
    """Return a tensor of half precision in single precision, others as they are."""
    return value.float() if value.dtype in _HALF else value
