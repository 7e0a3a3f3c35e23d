"""Structural similarity against Wang's formula written out in numpy, window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from descant.tasks.ssim import dissimilarity, ssim


def reference(first: np.ndarray, second: np.ndarray, value_range: float) -> float:
    """Of two images (H, W), by weighted means, variances and covariance of each window of 11 × 11."""
    line = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    similar = []
    for row in range(first.shape[0] - 10):
        for column in range(first.shape[1] - 10):
            x, y = (image[row : row + 11, column : column + 11] for image in (first, second))
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            covariance = (weights * (x - mx) * (y - my)).sum()
            similar.append((2 * mx * my + c1) * (2 * covariance + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(similar))


@pytest.mark.parametrize(("shape", "value_range"), [((3, 14, 13), 4.0), ((1, 11, 20), 1.0), ((16, 12), 2.0)])
def test_against_the_formula(shape: tuple[int, ...], value_range: float) -> None:
    rng = np.random.default_rng(0)
    target = rng.uniform(-value_range / 2, value_range / 2, (2, *shape))
    output = target + rng.normal(0, 0.2, target.shape)
    sides = output.reshape(2, -1, *shape[-2:]), target.reshape(2, -1, *shape[-2:])
    channels = range(sides[0].shape[1])
    expected = [
        np.mean([reference(sides[0][sample, channel], sides[1][sample, channel], value_range) for channel in channels])
        for sample in range(2)
    ]
    found_B = ssim(torch.from_numpy(output), torch.from_numpy(target), value_range)
    assert found_B.tolist() == pytest.approx(expected, abs=1e-5)
    lost_B = dissimilarity(torch.from_numpy(output), torch.from_numpy(target), value_range)
    assert (lost_B + found_B).tolist() == pytest.approx([1.0, 1.0])


def test_equal_images_have_1_and_a_step_down_the_gradient_makes_others_more_similar() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 3, 16, 16, generator=generator)
    assert ssim(target, target).tolist() == pytest.approx([1.0, 1.0], abs=1e-6)
    output = torch.rand(2, 3, 16, 16, generator=generator).requires_grad_()
    before = dissimilarity(output, target)
    before.sum().backward()
    assert output.grad is not None
    assert (dissimilarity(output.detach() - output.grad, target) < before.detach()).all()


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 1, 1), (2, 5), (3, 12, 2)])
def test_small_images_get_the_window_that_they_have_room_for(shape: tuple[int, ...]) -> None:
    target = torch.rand(2, *shape)
    assert ssim(target, target).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert (ssim(1.0 - target, target) < 1.0).all()


def test_mixed_precision_changes_nothing() -> None:
    output, target = torch.rand(2, 1, 1, 16, 16) + 3.0
    with torch.autocast("cpu", torch.bfloat16):
        found_B = ssim(output, target)
    torch.testing.assert_close(found_B, ssim(output, target))
