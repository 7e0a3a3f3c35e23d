"""Parts of an input hidden, and guessed from the rest: auxiliaries that need no labels.

Shapes: B samples, C channels, H height, W width, T frames, M mel bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from descant.errors import UserError
from descant.lazy import torch
from descant.tasks import losses, metrics
from descant.tasks.reconstruction import Reconstruction

_HIDDEN = {2: -1.0, 3: 0.0}  # silence; the mean of images


class MaskedReconstruction(Reconstruction):
    """Give back the parts of the clean input that its own view lacks: masked frames or patches.

    Of frames (T, M) whole stretches of ``size`` frames are hidden, as in Mockingjay (Liu et al. 2020); of images
    (C, H, W) squares of ``size`` pixels, as in masked autoencoders (He et al. 2022). The loss is the mean over what was
    hidden alone: L1, or ``l2`` on request.

    Args:
        share: of the input that is hidden, about.
        size: of each stretch or square.
        given: the arguments of ``Reconstruction``.
    """

    own_view = True
    losses = {"l1": losses.masked_l1, "l2": losses.masked_l2}
    metric_makers = {"mean_absolute_error": lambda task: metrics.mean_metric(losses.masked_l1, "min")}

    def __init__(self, *args: Any, share: float = 0.3, size: int = 8, **given: Any) -> None:
        super().__init__(*args, **given)
        sides = self._sides()
        if not 0.0 < share < 1.0:
            raise UserError(f"the task {self.name!r} hides the share {share} of its input: give one between 0 and 1")
        if not 1 <= size <= min(sides):
            raise UserError(f"the task {self.name!r} hides parts of size {size} of {sides}: give 1 to {min(sides)}")
        self._share, self._size = share, size
        self._cells = tuple(-(-side // size) for side in sides)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return which cells of a grid are hidden, at least one and not all."""
        count = int(np.prod(self._cells))
        hidden = np.zeros(count, bool)
        hidden[rng.permutation(count)[: min(max(round(self._share * count), 1), max(count - 1, 1))]] = True
        return hidden.reshape(self._cells)

    def view(self, inputs: Mapping[str, torch.Tensor], drawn: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the inputs with silence, or the mean of images, where they are hidden."""
        assert self.input is not None
        clean = inputs[self.input]
        return {**inputs, self.input: clean.masked_fill(self._mask(drawn), _HIDDEN[clean.ndim - 1])}

    def view_target(self, inputs: Mapping[str, torch.Tensor], drawn: torch.Tensor) -> torch.Tensor:
        """Return the clean input where it is hidden, NaN elsewhere."""
        assert self.input is not None
        return inputs[self.input].masked_fill(~self._mask(drawn), torch.nan)

    def _mask(self, cells: torch.Tensor) -> torch.Tensor:
        """Return which values are hidden, (B, T, 1) or (B, 1, H, W)."""
        for axis, side in enumerate(self._sides(), 1):
            cells = cells.repeat_interleave(self._size, axis).narrow(axis, 0, side)
        return cells[:, :, None] if cells.ndim == 2 else cells[:, None]

    def _sides(self) -> tuple[int, ...]:
        shape = self.output_shape
        if len(shape) not in _HIDDEN:
            raise UserError(f"the task {self.name!r} hides frames (T, M) or images (C, H, W), and this is {shape}")
        return shape[:1] if len(shape) == 2 else shape[1:]
