"""Random second views of samples for contrastive tasks: drawn in the loaders, made on the device.

Shapes: B samples, C channels, H height, W width, T frames, M mel bands, K masks, N numbers drawn for a sample.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from descant.inputs.mel_augment import MelAugment
from descant.lazy import torch

_LONGEST_SIDE = 4 / 3  # of a crop, to its other side (Szegedy et al. 2015)
_MASKS, _LOUDER_DB = 2, 20.0


class ImageViews:
    """A crop resized to the whole, mirrored or not, in other colours: the changes of SimCLR that cost little.

    A crop keeps the share ``crop`` of the area at least. Contrast and saturation are multiplied by 1 - ``strength`` to
    1 + ``strength``; brightness is moved by up to ``strength``, in the units of the input.
    """

    def __init__(self, crop: float, strength: float) -> None:
        self._crop, self._strength = crop, strength

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return the crop's width and height, its centre, the side that stays, and three colours, (8,)."""
        area, stretch = rng.uniform(self._crop, 1.0), math.log(_LONGEST_SIDE)
        side = math.exp(rng.uniform(-stretch, stretch) / 2)
        width, height = min(math.sqrt(area) * side, 1.0), min(math.sqrt(area) / side, 1.0)
        x, y = rng.uniform(-1.0, 1.0, 2) * (1.0 - width, 1.0 - height)
        mirrored = -1.0 if rng.random() < 0.5 else 1.0
        colours = rng.uniform(-self._strength, self._strength, 3)
        return np.asarray([width, height, x, y, mirrored, *colours], np.float32)

    def view(
        self, image_BCHW: Float[torch.Tensor, "B C H W"], drawn_BN: Float[torch.Tensor, "B N"]
    ) -> Float[torch.Tensor, "B C H W"]:
        """Return each image as it was drawn."""
        width, height, x, y, mirrored = drawn_BN.T[:5]
        view = cropped(image_BCHW, width * mirrored, height, x, y)
        brightness, contrast, saturation = drawn_BN.T[5:, :, None, None, None]
        grey = view.mean(1, keepdim=True)
        view = grey + (1.0 + saturation) * (view - grey)
        middle = view.mean((1, 2, 3), keepdim=True)
        coloured: torch.Tensor = middle + (1.0 + contrast) * (view - middle) + brightness
        return coloured


class FrameViews:
    """A stretch of mel frames resampled to all of them, bands masked, louder or softer.

    A stretch keeps the share ``crop`` of the frames at least. Two stretches of bands, each up to half of ``strength``
    of them, are silent, and all is louder or softer by up to ``strength`` times 20 dB.
    """

    def __init__(self, shape_TM: tuple[int, int], crop: float, strength: float) -> None:
        self._shape, self._crop = shape_TM, crop
        bands = round(shape_TM[1] * strength / 2)
        self._augment = MelAugment(
            frequency_masks=_MASKS if bands else 0, frequency_width=bands, gain_db=_LOUDER_DB * strength
        )

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return the stretch's length and centre, the gain, and both ends of each mask, (3 + 2K,)."""
        length = rng.uniform(self._crop, 1.0)
        centre = rng.uniform(-1.0, 1.0) * (1.0 - length)
        parts = self._augment.draw(self._shape, rng)
        masks_K2 = parts.get("frequency_masks", np.zeros((0, 2)))
        return np.asarray([length, centre, parts.get("gain_db", 0.0), *masks_K2.flatten()], np.float32)

    def view(
        self, mel_BTM: Float[torch.Tensor, "B T M"], drawn_BN: Float[torch.Tensor, "B N"]
    ) -> Float[torch.Tensor, "B T M"]:
        """Return each clip's frames as they were drawn."""
        length, centre, gain_db = drawn_BN.T[:3]
        all_bands = torch.ones_like(length)
        stretched = cropped(mel_BTM[:, None], all_bands, length, torch.zeros_like(length), centre)[:, 0]
        masks_BK2 = torch.stack([drawn_BN[:, 3::2], drawn_BN[:, 4::2]], 2)
        parts = {"gain_db": gain_db, "frequency_masks": masks_BK2}
        return self._augment.apply_to_batch(stretched, parts)


def cropped(
    image_BCHW: Float[torch.Tensor, "B C H W"],
    width_B: Float[torch.Tensor, B],
    height_B: Float[torch.Tensor, B],
    x_B: Float[torch.Tensor, B],
    y_B: Float[torch.Tensor, B],
) -> Float[torch.Tensor, "B C H W"]:
    """Return crops resized to the whole; sizes and centres in halves of it, a negative width mirrors."""
    zero_B = torch.zeros_like(x_B)
    rows = [torch.stack(row, 1) for row in ((width_B, zero_B, x_B), (zero_B, height_B, y_B))]
    functional = torch.nn.functional
    grid = functional.affine_grid(torch.stack(rows, 1), list(image_BCHW.shape), align_corners=False)
    return functional.grid_sample(image_BCHW, grid, padding_mode="border", align_corners=False)
