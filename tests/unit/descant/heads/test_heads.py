"""Heads take each shape of feature that they say, and give what their task needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from descant.errors import UserError
from descant.heads import (
    Decoder,
    FrameDecoder,
    HeatmapHead,
    ImageDecoder,
    InceptionHead,
    LinearHead,
    MLPHead,
    SequenceHead,
    heads,
    mlp,
)

SHAPES: list[tuple[int, ...]] = [(), (5,), (7, 5), (5, 3, 4), (5, 9, 6), (5, 1, 1), (2, 3, 4, 5)]
OUTPUTS: list[tuple[int, ...]] = [(2,), (1,), (4, 2), (7, 3), (3, 8, 6)]


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", heads.names())
@pytest.mark.parametrize("shape", OUTPUTS, ids=str)
def test_each_head_gives_the_shape_that_it_is_asked_for_and_trains(name: str, shape: tuple[int, ...]) -> None:
    taken = [feature for feature in SHAPES if heads.get(name).takes(feature, shape)]
    for feature in taken:
        head = heads.build(name, {}, feature=feature, shape=shape)
        output = head(torch.randn(2, *feature))
        assert output.shape == (2, *shape)
        output.square().sum().backward()
        assert all(parameter.grad is not None for parameter in head.parameters())
    assert len(taken) < len(SHAPES)
    assert heads.get(name).needs != "another feature"


@pytest.mark.parametrize("feature", [(5,), (7, 5), (5, 3, 4)])
def test_an_mlp_averages_what_is_beside_the_features(feature: tuple[int, ...]) -> None:
    head = mlp(feature, 2, hidden=(6,), dropout=0.5).eval()
    x = torch.randn(3, *feature)
    pooled = x if len(feature) == 1 else x.mean(1) if len(feature) == 2 else x.mean((2, 3))
    first, last = [layer for layer in head if isinstance(layer, nn.Linear)]
    torch.testing.assert_close(head(x), last(first(pooled).relu()))


def test_a_linear_head_is_one_layer_and_may_drop_what_it_reads() -> None:
    head = LinearHead((5, 3, 4), (2,), dropout=0.5)
    assert parameters(head) == 5 * 2 + 2
    linear = next(layer for layer in head if isinstance(layer, nn.Linear))
    x = torch.randn(3, 5, 3, 4)
    torch.testing.assert_close(head.eval()(x), linear(x.mean((2, 3))))
    head.train()
    assert not torch.equal(head(x), head(x))
    assert [type(layer) for layer in LinearHead((5,), (2,))] == [nn.Linear]


def test_the_inception_head_is_googlenets() -> None:
    head = InceptionHead((512, 14, 14), (1000,))
    pool, convolution = head[0], head[1]
    assert pool(torch.zeros(1, 512, 14, 14)).shape == (1, 512, 4, 4)
    assert isinstance(convolution, nn.Conv2d) and convolution.kernel_size == (1, 1)
    assert parameters(head) == (512 * 128 + 128) + (128 * 16 * 1024 + 1024) + (1024 * 1000 + 1000)
    dropouts = [layer.p for layer in head if isinstance(layer, nn.Dropout)]
    assert dropouts == [0.7]


@pytest.mark.parametrize(("side", "places"), [((1, 1), 1), ((4, 3), 1), ((5, 5), 1), ((8, 4), 2), ((10, 8), 4)])
def test_a_small_map_is_averaged_as_far_as_it_goes(side: tuple[int, int], places: int) -> None:
    head = InceptionHead((3, *side), (2,), channels=4, hidden=6)
    x_NCHW = torch.randn(2, 3, *side)
    pooled = head[0](x_NCHW)
    assert pooled[0, 0].numel() == places
    if places == 1:
        torch.testing.assert_close(pooled[..., 0, 0], x_NCHW.mean((2, 3)))
    assert head(x_NCHW).shape == (2, 2)


def test_frames_have_outputs_of_their_own_or_their_mean() -> None:
    x_BTF = torch.randn(2, 7, 5)
    each = SequenceHead((7, 5), (7, 3), average=False, hidden=(6,)).eval()
    frames = each(x_BTF)
    torch.testing.assert_close(frames[:, 3], nn.Sequential(*list(each)[:4])(x_BTF[:, 3]))
    mean = SequenceHead((7, 5), (3,), hidden=(6,)).eval()
    mean.load_state_dict(each.state_dict())
    torch.testing.assert_close(mean(x_BTF), frames.mean(1))
    assert SequenceHead((7, 5), (7,), average=False)(x_BTF).shape == (2, 7), "a number a frame"
    with pytest.raises(
        UserError, match=r"each of the 7 frames .* \(3,\): set average=true, or attach it to a sequence"
    ):
        SequenceHead((7, 5), (3,), average=False)


def test_a_heatmap_with_one_hot_place_finds_its_centre() -> None:
    head = HeatmapHead((2, 4, 8), (2, 2))
    head.layers = nn.Identity()
    map_BCHW = torch.zeros(1, 2, 4, 8)
    map_BCHW[0, 0, 3, 1] = 1e4
    map_BCHW[0, 1, 0, 7] = 1e4
    expected = torch.tensor([[[1.5 / 8, 3.5 / 8], [7.5 / 8, 0.5 / 8]]])
    torch.testing.assert_close(head(map_BCHW), expected)
    torch.testing.assert_close(head(torch.zeros(1, 2, 4, 8)), torch.tensor([[[0.5, 0.25]] * 2]))
    torch.testing.assert_close(head.heatmaps(torch.randn(3, 2, 4, 8)).sum((2, 3)), torch.ones(3, 2))
    assert not any("place" in name for name in head.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(head(map_BCHW), expected)


def test_heatmaps_learn_where_a_bright_place_is() -> None:
    torch.manual_seed(0)
    head = HeatmapHead((1, 8, 8), (1, 2), hidden=(8,))
    rows, columns = torch.randint(8, (64,)), torch.randint(8, (64,))
    map_BCHW = torch.zeros(64, 1, 8, 8)
    map_BCHW[range(64), 0, rows, columns] = 1.0
    target = torch.stack([columns + 0.5, rows + 0.5], dim=1)[:, None] / 8
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (head(map_BCHW) - target).square().mean()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 1e-3 < float((target - 0.5).square().mean())


def test_frames_are_decoded_one_by_one_and_clamped() -> None:
    head = FrameDecoder((6, 5), (6, 4)).eval()
    x = 100 * torch.randn(2, 6, 5)
    frames = head(x)
    torch.testing.assert_close(frames[:, 2], head.linear(x[:, 2]).clamp(-1, 1))
    assert float(frames.detach().abs().max()) == 1.0
    train = head.train()(torch.ones(2, 6, 5))
    assert not torch.equal(train, head.eval()(torch.ones(2, 6, 5))), "dropout works in training only"


@pytest.mark.parametrize("feature", [(6,), (6, 2, 3), (6, 40, 50)])
def test_a_decoder_reaches_any_size_of_image_and_of_frames(feature: tuple[int, ...]) -> None:
    for shape in ((3, 17, 20), (30, 12)):
        head = Decoder(feature, shape, width=4)
        assert head(torch.randn(2, *feature)).shape == (2, *shape)
    assert isinstance(Decoder(feature, (3, 8, 8)).layers, ImageDecoder)
    assert isinstance(Decoder((6, 5), (6, 4)).layers, FrameDecoder)


@pytest.mark.parametrize(
    ("feature", "shape"), [((5,), (6,)), ((5, 3), (6, 4)), ((5, 3), (3, 8, 8)), ((2, 3, 4, 5), (6, 4))], ids=str
)
def test_a_decoder_says_what_it_cannot_reach(feature: tuple[int, ...], shape: tuple[int, ...]) -> None:
    assert not Decoder.takes(feature, shape)


@pytest.mark.parametrize(
    "make",
    [
        lambda: mlp((4,), 2, dropout=1.0),
        lambda: mlp((4,), 2, hidden=(0,)),
        lambda: LinearHead((4,), (2,), dropout=-0.1),
        lambda: MLPHead((4,), (2,), hidden=(-3,)),
        lambda: InceptionHead((3, 5, 5), (2,), hidden=0),
        lambda: InceptionHead((3, 5, 5), (2,), channels=0),
        lambda: HeatmapHead((3, 5, 5), (2, 2), hidden=(0,)),
        lambda: Decoder((4,), (6, 4), width=0),
        lambda: Decoder((6, 4), (6, 4), dropout=1.0),
    ],
)
def test_what_cannot_be_built_is_one_sentence(make: Callable[[], Any]) -> None:
    with pytest.raises(UserError, match="give"):
        make()
