"""Heads take each shape of feature and give what their task needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from descant.errors import UserError
from descant.heads import FrameDecoder, ImageDecoder, mlp


@pytest.mark.parametrize("feature", [(5,), (7, 5), (5, 3, 4)])
def test_an_mlp_averages_what_is_beside_the_features(feature: tuple[int, ...]) -> None:
    head = mlp(feature, 2, hidden=(6,), dropout=0.5).eval()
    x = torch.randn(3, *feature)
    pooled = x if len(feature) == 1 else x.mean(1) if len(feature) == 2 else x.mean((2, 3))
    first, last = [layer for layer in head if isinstance(layer, torch.nn.Linear)]
    torch.testing.assert_close(head(x), last(first(pooled).relu()))


def test_frames_are_decoded_one_by_one_and_clamped() -> None:
    head = FrameDecoder((6, 5), (6, 4)).eval()
    x = 100 * torch.randn(2, 6, 5)
    frames = head(x)
    torch.testing.assert_close(frames[:, 2], head.linear(x[:, 2]).clamp(-1, 1))
    assert float(frames.detach().abs().max()) == 1.0
    train = head.train()(torch.ones(2, 6, 5))
    assert not torch.equal(train, head.eval()(torch.ones(2, 6, 5))), "dropout works in training only"


@pytest.mark.parametrize(
    "make",
    [
        lambda: mlp((4,), 2, dropout=1.0),
        lambda: mlp((4,), 2, hidden=(0,)),
        lambda: FrameDecoder((5,), (6, 4)),
        lambda: FrameDecoder((5, 3), (6, 4)),
        lambda: ImageDecoder((5, 3), (3, 8, 8)),
    ],
)
def test_what_cannot_be_built_is_one_sentence(make: Callable[[], Any]) -> None:
    with pytest.raises(UserError, match="give|attach"):
        make()
