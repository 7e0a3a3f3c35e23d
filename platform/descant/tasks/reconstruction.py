"""Giving the input back: the auxiliary that needs no labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from descant.data.description import Field
from descant.errors import UserError
from descant.lazy import torch
from descant.tasks import losses, metrics
from descant.tasks.headed import HeadedTask
from descant.tasks.ssim import dissimilarity, ssim

_RANGES = {2: 2.0, 3: 4.0}  # of mel frames; and of images with the mean and the deviation that they have by default


class Reconstruction(HeadedTask):
    """Reconstruct an input from a feature: L1 by default; ``l2``, ``smooth_l1`` or ``ssim`` (1 - SSIM) on request.

    The head ``decoder`` makes frames (T, M) of a ``sequence`` feature one by one; frames and images (C, H, W) of a
    ``map``, a ``pooled`` or an inner feature. ``input`` defaults to the recipe's only input.

    Args:
        input: which input to give back.
        value_range: from the least to the greatest value of the input, for SSIM; None: 2 for frames (mels are within
            ±1), 4 for images (pixels by ``mean: 0.5`` and ``std: 0.25`` are within ±2).
        given: the arguments of ``HeadedTask``.
    """

    feature = "sequence"
    default_head = "decoder"
    default_weight: ClassVar[float] = 0.1
    losses = {"l1": losses.l1, "l2": losses.l2, "smooth_l1": losses.smooth_l1, "ssim": dissimilarity}
    metric_makers = {
        "mean_absolute_error": lambda task: metrics.mean_metric(losses.l1, "min"),
        "mean_squared_error": lambda task: metrics.mean_metric(losses.l2, "min"),
        "ssim": lambda task: metrics.mean_metric(partial(ssim, value_range=task.value_range), "max"),
    }
    usual_metrics = ("mean_absolute_error",)

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Field],
        inputs: Mapping[str, tuple[int, ...]],
        *,
        input: str | None = None,
        feature: str | None = None,
        value_range: float | None = None,
        **given: Any,
    ) -> None:
        self.input = input or self.input or (next(iter(inputs)) if len(inputs) == 1 else None)
        if self.input is None:
            raise UserError(f"the task {name!r} has several inputs to give back: set its 'input' to one of {[*inputs]}")
        if self.input in inputs and feature is None and len(inputs[self.input]) == 3:
            feature = "map"
        super().__init__(name, fields, inputs, feature=feature, **given)
        self.value_range = value_range or _RANGES.get(len(self.output_shape), 1.0)
        if not 0.0 < self.value_range < float("inf"):
            raise UserError(f"the task {name!r} has value_range={value_range}: give a number above 0")
        if self._loss is dissimilarity:
            self._loss = partial(dissimilarity, value_range=self.value_range)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the input."""
        assert self.input is not None
        return self.inputs[self.input]

    def meaning(self) -> dict[str, Any]:
        """Return which input is given back."""
        return {"kind": "reconstruction", "input": self.input, "unit": "as the trunk takes it"}

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction as it is."""
        return output.float()
