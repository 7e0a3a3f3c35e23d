"""From a batch's arrays to what the trunk takes.

Shapes: B rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from descant.data.batch import Batch
from descant.inputs import Input


def finished(inputs: Mapping[str, Input], batch: Batch) -> dict[str, Tensor]:
    """Return the inputs as the trunk takes them, (B, …) by name, mixed where the batch has partners."""
    made = {name: inputs[name].finish(arrays) for name, arrays in batch.arrays.items()}
    if batch.partner is None or batch.share_B is None:
        return made
    others = {name: inputs[name].finish(arrays) for name, arrays in batch.partner.arrays.items()}
    shares = {name: batch.share_B.reshape(-1, *[1] * (value.ndim - 1)) for name, value in made.items()}
    return {name: shares[name] * value + (1.0 - shares[name]) * others[name] for name, value in made.items()}
