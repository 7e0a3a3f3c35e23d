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
from descant.inputs.front import Front
from descant.inputs.geometry import Geometry
from descant.lazy import torch
from descant.registry import Registry


@dataclass(frozen=True)
class View:
    """One look at one input of one sample: arrays to stack into a batch, and where an image's pixels went.

    Attributes:
        arrays: by part.
        geometry: of an image, from pixels of the stored image to units of its longer side.
        extent: of an image, width and height of the stored one in pixels.
    """

    arrays: Mapping[str, np.ndarray]
    geometry: Geometry | None = None
    extent: tuple[int, int] | None = None

    @property
    def mirrored(self) -> bool:
        """Whether the image shows left on the right: labels with a side have to follow."""
        return self.geometry is not None and self.geometry.mirrored

    def from_pixels(self, points_PX: np.ndarray) -> np.ndarray:
        """Return points (P, 2) of the stored image in units of this view; outside [0, 1] where a crop lost them."""
        assert self.geometry is not None, "points need an image"
        return self.geometry.apply(points_PX)

    def to_pixels(self, points_PX: np.ndarray) -> np.ndarray:
        """Return points (P, 2) of this view in pixels of the stored image."""
        assert self.geometry is not None, "points need an image"
        return self.geometry.inverse().apply(points_PX)


def image_view(views: Mapping[str, View]) -> View | None:
    """Return the view that labels of an image follow, out of a sample's views by input: the first image's."""
    return next((view for view in views.values() if view.geometry is not None), None)


class Input:
    """One input of a recipe, made from one field of the data set.

    Args:
        name: the input's name in the recipe.
        fields: the data set's fields.
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    views: int = 1
    mirrors: bool = False
    """Whether views to train on may be mirrored, so that tasks have to know which of their labels have a side."""
    shape: tuple[int, ...]
    field: Field
    field_name: str

    def decode(self, member: bytes) -> Any:
        """Return the decoded member.

        Raises:
            ValueError: the member is damaged, hostile or does not fit, in plain words; the sample is quarantined. Any
                other error ends the run, so a decoder turns those of its library into this one.
        """
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

    def front(self) -> Front:
        """Return what an exported program takes in the place of a file; ``finish``ed values where nothing is nearer."""
        return Front(self.shape, about={"is": "the values that the trunk takes"})

    def show(self, values: torch.Tensor) -> torch.Tensor | None:
        """Return a batch (B, *shape) as pictures (B, C, H, W) in [0, 1], C = 1 or 3; None where it is none."""
        return None

    def blank(self) -> View:
        """Return the view that holds the place of a sample that could not be read."""
        raise NotImplementedError


inputs: Registry[Input] = Registry("input", "inputs")
