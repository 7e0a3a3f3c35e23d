"""Attention masks are those of Liu et al. (2019), on the maps that the trunk gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from descant.sharing import sharings
from descant.trunks import build_trunk
from sharing_case import disturbed, images, shared


def normed(convolution: Any, norm: Any, x: Tensor) -> Tensor:
    x = functional.conv2d(x, convolution.weight, padding=convolution.weight.shape[-1] // 2)
    shape = (1, -1, 1, 1)
    x = (x - norm.running_mean.reshape(shape)) / (norm.running_var.reshape(shape) + 1e-5).sqrt()
    return x * norm.weight.reshape(shape) + norm.bias.reshape(shape)


def test_a_mask_sees_the_map_and_what_was_masked_before_it() -> None:
    features = {"main": "pooled", "help": "map"}
    sharing: Any = disturbed(shared("mtan", {"width": 5}, features)).eval()
    first = sharing.trunk.first(images()["image"])
    second = sharing.trunk.second(first)
    given = sharing(images(), list(features))
    for task, attention in sharing.attention.items():
        g, g_norm, _, h, h_norm, _ = attention.masks[0]
        masked = torch.sigmoid(normed(h, h_norm, torch.relu(normed(g, g_norm, first)))) * first
        f, f_norm, _, _ = attention.carries[0]
        carried = functional.max_pool2d(torch.relu(normed(f, f_norm, masked)), 2)
        g, g_norm, _, h, h_norm, _ = attention.masks[1]
        seen = torch.cat([second, carried], 1)
        masked = torch.sigmoid(normed(h, h_norm, torch.relu(normed(g, g_norm, seen)))) * second
        torch.testing.assert_close(given[task], masked.mean((2, 3)) if task == "main" else masked)


@pytest.mark.parametrize(
    ("trunk", "layers", "taken"),
    [
        ("resnet10t", None, ["model.act1", "model.layer1", "model.layer2", "model.layer3", "model.layer4"]),
        ("resnet10t", ["model.layer2", "map"], ["model.layer2", "map"]),
        ("tcdcn", None, ["conv1", "conv2", "conv3", "conv4"]),
        ("lenet", ["conv2"], ["conv2"]),
    ],
)
def test_the_stages_with_maps_are_masked_unless_others_are_named(
    trunk: str, layers: list[str] | None, taken: list[str]
) -> None:
    inputs = {"image": (3, 40, 40)}
    sharing: Any = sharings.build(
        "mtan",
        {"layers": layers, "width": 4},
        make_trunk=lambda: build_trunk(trunk, {}, inputs),
        features={"main": "pooled", "help": "map"},
        inputs=inputs,
    )
    assert sharing.layers == taken
    given = sharing({"image": torch.randn(2, 3, 40, 40)}, ["main", "help"])
    assert {task: tuple(feature.shape[1:]) for task, feature in given.items()} == sharing.shapes
    given["main"].sum().backward()
