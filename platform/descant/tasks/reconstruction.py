"""Giving the input back: the auxiliary that needs no labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from descant.data.description import Field
from descant.errors import UserError, nearest
from descant.lazy import torch
from descant.tasks import losses, metrics
from descant.tasks.base import Task


class Reconstruction(Task):
    """Reconstruct an input from a feature: L1 by default, ``l2`` or ``smooth_l1`` on request.

    Sequences (T, M) are decoded frame by frame from a ``sequence`` feature, images (C, H, W) from a ``map`` or
    ``pooled`` one. ``input`` defaults to the recipe's only input.

    Args:
        dropout: the dropout before a frame decoder.
        input: which input to give back.
        given: the arguments of ``Task``.
    """

    feature = "sequence"
    default_weight: ClassVar[float] = 0.1
    losses = {"l1": losses.l1, "l2": losses.l2, "smooth_l1": losses.smooth_l1}
    metric_makers = {"mean_absolute_error": lambda task: metrics.mean_metric(losses.l1, "min")}

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Field],
        inputs: Mapping[str, tuple[int, ...]],
        *,
        dropout: float = 0.3,
        input: str | None = None,
        feature: str | None = None,
        **given: Any,
    ) -> None:
        self.input = input or self.input or (next(iter(inputs)) if len(inputs) == 1 else None)
        if self.input is None:
            raise UserError(f"the task {name!r} has several inputs to give back: set its 'input' to one of {[*inputs]}")
        if self.input in inputs and feature is None and len(inputs[self.input]) == 3:
            feature = "map"
        self._dropout = dropout
        super().__init__(name, fields, inputs, feature=feature, **given)

    def head(self, feature: tuple[int, ...]) -> torch.nn.Module:
        """Return a decoder from the feature to the input's shape."""
        from descant.heads import FrameDecoder, ImageDecoder

        assert self.input is not None
        shape = self.inputs[self.input]
        if len(shape) == 2:
            return FrameDecoder(feature, shape, self._dropout)
        if len(shape) == 3:
            return ImageDecoder(feature, shape)
        raise UserError(
            f"the task {self.name!r} cannot give back the input {self.input!r} of shape {shape}: "
            f"{nearest('', ['frames (T, M)', 'images (C, H, W)'])}"
        )

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction as it is."""
        return output.float()
