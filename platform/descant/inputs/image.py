"""The ``image`` input: pictures at one size.

Shapes: C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from descant.data.decode import decode_image
from descant.data.description import Field
from descant.errors import UserError
from descant.inputs.base import Geometry, Input, View, inputs
from descant.inputs.fields import choose_field
from descant.lazy import torch


@inputs.register("image")
class ImageInput(Input):
    """Images (C, H, W) as (value - mean) / std of values in [0, 1].

    Args:
        size: H and W in pixels, or one number for both; images are resized to it.
        grey: one channel instead of three.
        mean, std: per channel or one for all.
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
    ) -> None:
        self.field_name, self.field = choose_field(name, field, fields, self.kinds)
        height, width = (size, size) if isinstance(size, int) else tuple(size)
        if min(height, width) < 1:
            raise UserError(f"the input {name!r} has the size {size}: give pixels from 1")
        self.shape = (1 if grey else 3, height, width)
        self._mean, self._std = mean, std

    def decode(self, member: bytes) -> np.ndarray:
        """Return the picture as uint8 (H, W, C), at its stored size."""
        return decode_image(member, grey=self.shape[0] == 1)

    def train_view(self, decoded: np.ndarray, rng: np.random.Generator) -> View:
        """Return the whole picture, resized."""
        return self._view(decoded)

    def evaluation_views(self, decoded: np.ndarray) -> list[View]:
        """Return the whole picture, resized, once."""
        return [self._view(decoded)]

    def finish(self, arrays: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the normalised images (B, C, H, W)."""
        value = arrays["value"].permute(0, 3, 1, 2).float() / 255.0
        mean, std = self._statistics(value.device)
        normalised: torch.Tensor = ((value - mean) / std).contiguous()
        return normalised

    def show(self, values: torch.Tensor) -> torch.Tensor:
        """Return normalised images as they were."""
        mean, std = self._statistics(values.device)
        return values.float() * std + mean

    def blank(self) -> View:
        """Return a grey picture."""
        channels, height, width = self.shape
        scale = 1.0 / max(height, width)
        return View({"value": np.full((height, width, channels), 128, np.uint8)}, Geometry((scale, scale), (0.0, 0.0)))

    def _statistics(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and deviation per channel, (C, 1, 1) each."""
        mean, std = (torch.as_tensor(x, device=device).reshape(-1, 1, 1) for x in (self._mean, self._std))
        return mean, std

    def _view(self, decoded: np.ndarray) -> View:
        from PIL import Image

        height, width = decoded.shape[:2]
        if (height, width) != self.shape[1:]:
            picture = Image.fromarray(decoded[..., 0] if decoded.shape[2] == 1 else decoded)
            resized = picture.resize((self.shape[2], self.shape[1]), Image.Resampling.BILINEAR)
            decoded = np.asarray(resized).reshape(*self.shape[1:], self.shape[0])
        scale = 1.0 / max(height, width)
        return View({"value": decoded}, Geometry((scale, scale), (0.0, 0.0)))
