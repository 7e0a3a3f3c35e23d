"""Recurrent layers in a trace.

Shapes: B samples, T steps, D directions, H units, L layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def shapes_at_once() -> Iterator[None]:
    """Have the tracer read the shapes of an LSTM's outputs off its arguments.

    Of itself it runs through all steps of the sequence on tensors without content, three times over, which takes a
    minute for some hundred steps. What is traced is the same: the layer as one operator. torch has no public way to
    say this; the attributes are those of the one minor release that pyproject.toml allows.
    """
    operator: Any = torch.ops.aten.lstm.input
    kept = dict(operator.py_kernels)
    operator.py_kernels.update(dict.fromkeys(kept, _shapes))
    operator._dispatch_cache.clear()
    try:
        yield
    finally:
        operator.py_kernels.update(kept)
        operator._dispatch_cache.clear()


def _shapes(
    steps: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    has_biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return empty outputs (B, T, D · H), and the last states (L · D, B, H)."""
    hidden, cell = state
    width = hidden.shape[-1] * (2 if bidirectional else 1)
    return steps.new_empty((*steps.shape[:2], width)), hidden.new_empty(hidden.shape), cell.new_empty(cell.shape)
