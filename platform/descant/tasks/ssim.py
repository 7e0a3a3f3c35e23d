"""The structural similarity index (Wang et al., IEEE Transactions on Image Processing 2004).

Shapes: B samples, C channels, H height, W width, T frames, M bands, N images of one channel.
"""

from __future__ import annotations

import math

from jaxtyping import Float

from descant.lazy import torch

_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


def ssim(output: torch.Tensor, target: torch.Tensor, value_range: float = 2.0) -> torch.Tensor:
    """Return the mean structural similarity of each sample, (B,): at most 1, which equal ones have.

    Gaussian windows of 11 × 11 with a deviation of 1.5, all that lie within the image, of each channel by itself;
    K1 = 0.01 and K2 = 0.03, as in the paper. An image of fewer than 11 rows or columns gets the largest odd window
    that has room in that direction.

    Args:
        output, target: images (B, C, H, W), or frames (B, T, M) as images of one channel.
        value_range: from the least to the greatest value that they may have.
    """
    first_NHW, second_NHW = (values.float().flatten(0, -3) for values in (output, target))
    products = (first_NHW * first_NHW, second_NHW * second_NHW, first_NHW * second_NHW)
    mean_1, mean_2, square_1, square_2, product = map(_blurred, (first_NHW, second_NHW, *products))
    c1, c2 = (_K1 * value_range) ** 2, (_K2 * value_range) ** 2
    squares, means = mean_1 * mean_1 + mean_2 * mean_2, mean_1 * mean_2
    structure = (2 * (product - means) + c2) / (square_1 + square_2 - squares + c2)
    similar_NHW = (2 * means + c1) / (squares + c1) * structure
    return similar_NHW.reshape(len(output), -1).mean(1)


def dissimilarity(output: torch.Tensor, target: torch.Tensor, value_range: float = 2.0) -> torch.Tensor:
    """Return 1 - SSIM of each sample, (B,): a loss. Arguments as those of ``ssim``."""
    return 1.0 - ssim(output, target, value_range)


def _blurred(values_NHW: Float[torch.Tensor, "N H W"]) -> Float[torch.Tensor, "N h w"]:
    # By sums of shifted images, since convolutions may be rounded (bf16, TF32) to where variances cancel.
    for axis in (1, 2):
        weights = _window(values_NHW.shape[axis])
        room = values_NHW.shape[axis] - len(weights) + 1
        shifted = [weight * values_NHW.narrow(axis, place, room) for place, weight in enumerate(weights)]
        values_NHW = torch.stack(shifted).sum(0)
    return values_NHW


def _window(room: int) -> list[float]:
    side = min(_WINDOW, room - 1 + room % 2)
    weights = [math.exp(-((place - side // 2) ** 2) / (2 * _SIGMA**2)) for place in range(side)]
    return [weight / sum(weights) for weight in weights]
