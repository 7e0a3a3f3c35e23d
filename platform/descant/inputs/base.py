"""Inputs: how a stored member of a sample becomes what the trunk sees.

Loader processes call ``decode`` and ``train_view`` / ``evaluation_views``; ``finish`` runs on batches, on the device.
Everything random comes from the generator given, which is a pure function of (seed, epoch, position).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from descant.data.description import Field
from descant.lazy import torch
from descant.registry import Registry


@dataclass(frozen=True)
class Geometry:
    """Where an image's pixels went: unit = scale · pixel + shift, in units of the stored image's longer side."""

    scale: tuple[float, float]
    shift: tuple[float, float]


@dataclass(frozen=True)
class View:
    """One look at one input of one sample: arrays to stack into a batch, and where an image's pixels went."""

    arrays: Mapping[str, np.ndarray]
    geometry: Geometry | None = None

    def from_pixels(self, points_PX: np.ndarray) -> np.ndarray:
        """Return points (P, 2) of the stored image in units of this view."""
        assert self.geometry is not None, "points need an image"
        moved_PX: np.ndarray = points_PX * np.asarray(self.geometry.scale) + np.asarray(self.geometry.shift)
        return moved_PX

    def to_pixels(self, points_PX: np.ndarray) -> np.ndarray:
        """Return points (P, 2) of this view in pixels of the stored image."""
        assert self.geometry is not None, "points need an image"
        moved_PX: np.ndarray = (points_PX - np.asarray(self.geometry.shift)) / np.asarray(self.geometry.scale)
        return moved_PX


class Input:
    """One input of a recipe, made from one field of the data set.

    Args:
        name: the input's name in the recipe.
        fields: the data set's fields.
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    views: int = 1
    shape: tuple[int, ...]
    field: Field
    field_name: str

    def decode(self, member: bytes) -> Any:
        """Return the decoded member; a ValueError (or an error of the decoder) quarantines the sample."""
        raise NotImplementedError

    def train_view(self, decoded: Any, rng: np.random.Generator) -> View:
        """Return the view to train on: crops and augmentations, all randomness from ``rng``."""
        raise NotImplementedError

    def evaluation_views(self, decoded: Any) -> list[View]:
        """Return the views whose predictions are averaged at evaluation: as many for every sample."""
        raise NotImplementedError

    def finish(self, arrays: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the batch (B, *shape) as float32 from the stacked arrays, on their device."""
        return arrays["value"].float()

    def show(self, values: torch.Tensor) -> torch.Tensor | None:
        """Return a batch (B, *shape) as pictures (B, C, H, W) in [0, 1], C = 1 or 3; None where it is none."""
        return None

    def blank(self) -> View:
        """Return the view that holds the place of a sample that could not be read."""
        raise NotImplementedError


inputs: Registry[Input] = Registry("input", "inputs")
