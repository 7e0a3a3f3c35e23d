"""Losses per sample against torch's own and formulas written out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from descant.tasks import losses

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
GENERATOR = torch.Generator().manual_seed(0)
OUTPUT = torch.randn(6, 4, generator=GENERATOR)
TARGET = torch.randn(6, 4, generator=GENERATOR)


def test_cross_entropy() -> None:
    target_B = torch.tensor([0, 1, 2, 3, 0, 1])
    expected = [-float(torch.log_softmax(row, 0)[one]) for row, one in zip(OUTPUT, target_B, strict=True)]
    assert losses.cross_entropy(OUTPUT, target_B).tolist() == pytest.approx(expected)


def test_binary_cross_entropy_averages_what_is_known() -> None:
    target = torch.tensor([[0, 1, 0, 1], [1, 1, 1, 1], [np.nan] * 4, [np.nan, 1, np.nan, 0], [0] * 4, [1, 0, 0, 0]])
    output = OUTPUT.clone().requires_grad_()
    loss_B = losses.binary_cross_entropy(output, target.float())
    for row in range(6):
        known = ~target[row].isnan()
        expected = functional.binary_cross_entropy_with_logits(OUTPUT[row][known], target[row][known].float())
        assert float(loss_B[row].detach()) == (pytest.approx(float(expected)) if known.any() else 0.0)
    loss_B.sum().backward()
    assert output.grad is not None
    assert output.grad.isfinite().all()
    assert (output.grad[target.isnan()] == 0).all()


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        (losses.l1, functional.l1_loss),
        (losses.l2, functional.mse_loss),
        (losses.smooth_l1, functional.smooth_l1_loss),
        (losses.half_squared_error, lambda output, target: 0.5 * (output - target).square().sum()),
    ],
)
@pytest.mark.parametrize("shape", [(6, 4), (6, 2, 2), (6, 1, 2, 2)])
def test_errors_per_sample(loss: object, reference: object, shape: tuple[int, ...]) -> None:
    assert callable(loss)
    assert callable(reference)
    found = loss(OUTPUT.reshape(shape), TARGET.reshape(shape))
    expected = [float(reference(OUTPUT[row], TARGET[row])) for row in range(6)]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)
    half = loss(OUTPUT.bfloat16().reshape(shape), TARGET.reshape(shape))
    assert half.dtype == torch.float32, "losses are summed in float32 also under mixed precision"


@pytest.mark.parametrize(("masked", "plain"), [(losses.masked_l1, losses.l1), (losses.masked_l2, losses.l2)])
def test_errors_where_the_target_is_known(masked: Loss, plain: Loss) -> None:
    target = TARGET.reshape(6, 2, 2).clone()
    torch.testing.assert_close(masked(OUTPUT.reshape(6, 2, 2), target), plain(OUTPUT, TARGET))
    target[0, 0, 1] = target[1] = math.nan
    output = OUTPUT.reshape(6, 2, 2).clone().requires_grad_()
    loss_B = masked(output, target)
    known = [0, 2, 3]
    assert float(loss_B[0].detach()) == pytest.approx(float(plain(OUTPUT[:1, known], TARGET[:1, known])))
    assert float(loss_B[1].detach()) == 0.0, "nothing is known"
    loss_B.sum().backward()
    assert output.grad is not None and output.grad.isfinite().all()
    assert (output.grad[target.isnan()] == 0).all()
