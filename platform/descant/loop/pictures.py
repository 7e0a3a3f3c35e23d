"""Inputs and their reconstructions as one picture: a row per sample, the input left, what was given back right.

Shapes: P samples, C channels, H × W pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from descant.files import whole_file

GAP = 4  # white pixels between pictures


def pairs(inputs_PCHW: Tensor, outputs_PCHW: Tensor) -> np.ndarray:
    """Return (height, width, 3) uint8 from pictures in [0, 1] as ``Input.show`` gives them."""
    left, right = (pad(side, (GAP,) * 4, value=1.0).expand(-1, 3, -1, -1) for side in (inputs_PCHW, outputs_PCHW))
    column = torch.cat(list(torch.cat([left, right], 3)), 1)
    pixels: np.ndarray = (column.clamp(0.0, 1.0) * 255.0).round().byte().permute(1, 2, 0).numpy()
    return pixels


def save_picture(pixels: np.ndarray, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    with whole_file(path) as file:
        Image.fromarray(pixels).save(file, "PNG")
