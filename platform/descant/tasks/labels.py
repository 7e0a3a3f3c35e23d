"""Labels that cannot teach."""

from __future__ import annotations

import numpy as np

_LARGEST = 1e15  # of a label's numbers: its square, summed over a batch, is far from where float32 ends


class BadLabel(ValueError):
    """A sample's label cannot teach this task; the sample's label is quarantined, with the reason."""


def can_teach(numbers: np.ndarray) -> bool:
    """Return whether a label's numbers are finite, as float32 and in squared losses too: none is beyond 1e15."""
    return bool((np.abs(numbers.astype(np.float64)) <= _LARGEST).all())  # NaN is not
