"""Adapters add a low-rank product to each weight (Hu et al. 2021) and start at nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from descant.sharing import sharings
from descant.trunks import build_trunk
from sharing_case import FEATURES, disturbed, images, make_trunk, shared


def test_each_task_has_the_trunks_weights_and_its_own_delta() -> None:
    sharing: Any = disturbed(shared("adapters", {"rank": 2, "scale": 0.5}))
    given = sharing(images(), FEATURES)
    for task in FEATURES:
        x = images()["image"]
        for delta, layer in zip(sharing.deltas[task], (sharing.trunk.first[0], sharing.trunk.second[0]), strict=True):
            # W x + scale · B (A x): A as a convolution to two channels, B as one of one pixel.
            inner = functional.conv2d(x, delta.a.reshape(2, *layer.weight.shape[1:]))
            x = torch.tanh(layer(x) + 0.5 * functional.conv2d(inner, delta.b[:, :, None, None]))
        torch.testing.assert_close(given[task], x.mean((2, 3)))


@pytest.mark.parametrize("options", [{}, {"main": False}, {"frozen": True}, {"frozen": True, "main": False}])
def test_it_starts_as_the_plain_trunk(options: dict[str, Any]) -> None:
    sharing, plain = shared("adapters", options), make_trunk()(images())["pooled"]
    assert all(torch.equal(feature, plain) for feature in sharing(images(), FEATURES).values())


def test_a_frozen_trunk_stays_as_it_is_in_training() -> None:
    inputs = {"image": (3, 32, 32)}
    sharing: Any = sharings.build(
        "adapters",
        {"frozen": True, "main": False},
        make_trunk=lambda: build_trunk("resnet10t", {}, inputs),
        features={"main": "pooled", "help": "model.layer3"},
        inputs=inputs,
    )
    sharing.train()
    assert sharing.training and not any(module.training for module in sharing.trunk.modules())
    before = {name: value.clone() for name, value in sharing.trunk.state_dict().items()}
    features = sharing({"image": torch.randn(4, 3, 32, 32)}, ["main", "help"])
    assert not features["main"].requires_grad
    features["help"].sum().backward()
    reached = [name for name, p in sharing.named_parameters() if p.grad is not None]
    assert reached and all(name.startswith("deltas.help.") for name in reached)
    assert all(torch.equal(before[name], value) for name, value in sharing.trunk.state_dict().items())


def test_layers_are_named_by_themselves_or_by_what_is_around_them() -> None:
    for layers, count in ((["first"], 1), (["first.0"], 1), (["second", "first"], 2), (None, 2)):
        sharing: Any = shared("adapters", {"layers": layers})
        assert len(sharing.layers) == len(sharing.deltas["main"]) == count


def test_linear_layers_of_a_transformer_are_adapted() -> None:
    inputs = {"image": (3, 32, 32)}
    trunk: Any = build_trunk("vit_tiny_patch16_224", {"img_size": 32, "depth": 1}, inputs)
    sharing: Any = sharings.build(
        "adapters",
        {"layers": ["model.blocks"], "rank": 3},
        make_trunk=lambda: trunk,
        features={"main": "pooled", "help": "sequence"},
        inputs=inputs,
    )
    assert sharing.layers == [f"model.blocks.0.{name}" for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")]
    block = trunk.model.blocks[0]
    sizes = [block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2]
    expected = sum(3 * (linear.in_features + linear.out_features) for linear in sizes if isinstance(linear, nn.Linear))
    assert sum(parameter.numel() for parameter in sharing.deltas["help"].parameters()) == expected


def test_each_task_has_running_statistics_of_its_own() -> None:
    inputs = {"image": (3, 32, 32)}
    sharing: Any = sharings.build(
        "adapters",
        {"rank": 2},
        make_trunk=lambda: build_trunk("resnet10t", {}, inputs),
        features=FEATURES,
        inputs=inputs,
    )
    for module in sharing.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of the latest batch
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in sharing.named_parameters():
            if name.endswith(".b"):
                parameter.normal_(std=0.1)
        batch = {"image": torch.rand(16, 3, 32, 32)}
        started = {name: value.clone() for name, value in sharing.trunk.named_buffers()}
        trained = sharing.train()(batch, FEATURES)
        found = sharing.eval()(batch, FEATURES)
    for task in FEATURES:
        counts = [value for name, value in sharing.statistics[task].named_buffers() if name.endswith("tracked")]
        assert counts and all(count == 1 for count in counts)
        # Evaluation takes the unbiased variance: with 16 samples of one pixel in the last layers a few per cent.
        assert (found[task] - trained[task]).norm() < 0.15 * trained[task].norm()
    assert not torch.equal(
        *(sharing.statistics[task].get_buffer("model/bn1/running_var") for task in list(FEATURES)[:2])
    )
    assert all(torch.equal(value, started[name]) for name, value in sharing.trunk.named_buffers())
