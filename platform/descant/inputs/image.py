"""The ``image`` input: pictures at one size.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from descant.data.decode import decode_image
from descant.data.description import Field
from descant.errors import UserError
from descant.inputs.augment import read_augment
from descant.inputs.base import Input, View, inputs
from descant.inputs.fields import choose_field
from descant.inputs.front import Front
from descant.inputs.geometry import Geometry
from descant.inputs.image_augment import ImageAugment
from descant.inputs.warp import resize, warp
from descant.lazy import torch


@inputs.register("image")
class ImageInput(Input):
    """Images (C, H, W) as (value - mean) / std of values in [0, 1].

    Args:
        size: H and W in pixels, or one number for both; images are resized to it.
        grey: one channel instead of three.
        mean, std: per channel or one for all.
        augment: the options of ``ImageAugment``, for training.
    """

    kinds = ("image",)

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Field],
        *,
        field: str | None = None,
        size: int | Sequence[int] = 64,
        grey: bool = False,
        mean: float | Sequence[float] = 0.5,
        std: float | Sequence[float] = 0.25,
        augment: Mapping[str, Any] | None = None,
    ) -> None:
        self.field_name, self.field = choose_field(name, field, fields, self.kinds)
        height, width = (size, size) if isinstance(size, int) else tuple(size)
        if min(height, width) < 1:
            raise UserError(f"the input {name!r} has the size {size}: give pixels from 1")
        self.shape = (1 if grey else 3, height, width)
        self._mean, self._std = mean, std
        self.augment = read_augment(ImageAugment, f"inputs.{name}.augment", augment)
        self.augment.check(f"inputs.{name}.augment", grey)
        self.mirrors = self.augment.flip > 0

    def decode(self, member: bytes) -> np.ndarray:
        """Return the picture as uint8 (H, W, C), at its stored size."""
        return decode_image(member, grey=self.shape[0] == 1)

    def train_view(self, decoded: np.ndarray, rng: np.random.Generator) -> View:
        """Return the picture, resized and augmented."""
        if self.augment == ImageAugment():
            return self.evaluation_views(decoded)[0]
        change = self.augment.draw(rng)
        motion = change.motion(decoded.shape[1], decoded.shape[0])
        moved = warp(decoded, motion, *self.shape[1:])
        return View({"value": self.augment.recolour(moved, change, rng)}, motion.then(_unit(decoded)), _extent(decoded))

    def evaluation_views(self, decoded: np.ndarray) -> list[View]:
        """Return the whole picture, resized, once."""
        return [View({"value": resize(decoded, *self.shape[1:])}, _unit(decoded), _extent(decoded))]

    def finish(self, arrays: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the normalised images (B, C, H, W)."""
        value = arrays["value"].permute(0, 3, 1, 2).float() / 255.0
        mean, std = self._statistics(value.device)
        normalised: torch.Tensor = ((value - mean) / std).contiguous()
        return normalised

    def front(self) -> Front:
        """Return the pixels of a picture at the size that the trunk takes; the program normalises them."""
        channels, height, width = self.shape
        about = {
            "is": "grey pixels" if channels == 1 else "pixels in the order red, green, blue",
            "layout": "batch, height, width, channels",
            "to_do": f"resize the whole picture to {height} x {width}, whatever its proportions",
            "done_inside": {"divided_by": 255, "mean": self._mean, "std": self._std},
        }
        return Front((height, width, channels), "uint8", about, lambda value: self.finish({"value": value}))

    def show(self, values: torch.Tensor) -> torch.Tensor:
        """Return normalised images as they were."""
        mean, std = self._statistics(values.device)
        return values.float() * std + mean

    def blank(self) -> View:
        """Return a grey picture."""
        channels, height, width = self.shape
        value = np.full((height, width, channels), 128, np.uint8)
        return View({"value": value}, _unit(value), _extent(value))

    def _statistics(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and deviation per channel, (C, 1, 1) each."""
        mean, std = (torch.as_tensor(x, device=device).reshape(-1, 1, 1) for x in (self._mean, self._std))
        return mean, std


def _unit(picture_HWC: np.ndarray) -> Geometry:
    """Return the map from a picture's pixels to units of its longer side."""
    return Geometry.scaling(1.0 / max(picture_HWC.shape[:2]))


def _extent(picture_HWC: np.ndarray) -> tuple[int, int]:
    """Return a picture's width and height."""
    return picture_HWC.shape[1], picture_HWC.shape[0]
