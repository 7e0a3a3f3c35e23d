"""Trunks that run stage by stage give what they give in one piece; TCDCN and LeNet are their papers' layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from descant.errors import UserError
from descant.trunks import StagedTrunk, Trunk, build_trunk
from descant.trunks.chain import find_stages

IMAGE = {"image": (3, 64, 64)}
SMALL = {"image": (3, 32, 32)}
CASES: list[tuple[str, dict[str, Any], dict[str, tuple[int, ...]], list[str]]] = [
    ("bilstm", {"hidden": [4, 3]}, {"mel": (6, 5)}, ["layers.0", "layers.1"]),
    ("mlp", {"hidden": [5, 4], "dropout": 0.5}, {"a": (3,), "b": (2, 2)}, ["layers.2", "layers.5"]),
    ("tcdcn", {}, {"image": (1, 40, 40)}, ["conv1", "conv2", "conv3", "conv4", "fc"]),
    ("lenet", {}, {"image": (1, 36, 36)}, ["conv1", "conv2", "fc"]),
    ("resnet10t", {}, IMAGE, ["model.act1", *(f"model.layer{n}" for n in range(1, 5))]),
    ("resnet18", {}, {"mel": (64, 64)}, ["model.act1", *(f"model.layer{n}" for n in range(1, 5))]),
    ("convnext_atto", {}, IMAGE, [f"model.stages.{n}" for n in range(4)]),
    ("vgg11", {}, SMALL, [f"model.features.{n}" for n in (1, 4, 9, 14, 19, 20)]),
    ("regnetx_002", {}, IMAGE, ["model.stem", *(f"model.s{n}" for n in range(1, 5))]),
]


def started(name: str, options: dict[str, Any], inputs: dict[str, tuple[int, ...]]) -> StagedTrunk:
    torch.manual_seed(4)
    trunk = build_trunk(name, options, inputs)
    assert isinstance(trunk, StagedTrunk)
    return trunk


@pytest.mark.parametrize(("name", "options", "inputs", "stages"), CASES)
def test_stage_by_stage_is_the_whole(
    name: str, options: dict[str, Any], inputs: dict[str, tuple[int, ...]], stages: list[str]
) -> None:
    trunk = started(name, options, inputs).eval()
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    state = torch.random.get_rng_state()
    assert list(trunk.stages()) == stages
    assert torch.equal(torch.random.get_rng_state(), state), "looking for stages draws nothing"
    batch = {key: torch.randn(2, *shape) for key, shape in inputs.items()}
    value, outputs = trunk.enter(batch), {}
    for stage in trunk.stages():
        value = outputs[stage] = trunk.run_stage(stage, value)
    whole, by_stage = trunk(batch), trunk.features(outputs)
    assert list(whole) == list(by_stage)
    assert all(torch.equal(whole[feature], by_stage[feature]) for feature in whole)
    assert all(torch.equal(before[key], value) for key, value in trunk.state_dict().items())
    assert value.shape[trunk.channel_axis] == outputs[stages[-1]].shape[trunk.channel_axis]


def test_dropout_is_drawn_where_it_was() -> None:
    trunk = started("bilstm", {"hidden": [4, 3], "dropout": 0.5}, {"mel": (6, 5)}).train()
    assert next(name for name, _ in trunk.named_parameters()) == "layers.0.weight_ih_l0"
    x, dropout = torch.randn(2, 6, 5), nn.Dropout(0.5)
    torch.manual_seed(7)
    features = trunk({"mel": x})
    torch.manual_seed(7)
    x = dropout(x)
    for layer in range(2):
        x = dropout(trunk.get_submodule(f"layers.{layer}")(x)[0])
    assert torch.equal(features["sequence"], x) and torch.equal(features["pooled"], x.amax(1))


@pytest.mark.parametrize("model", ["vit_tiny_patch16_224", "hrnet_w18_small"])
def test_a_model_that_is_no_chain_runs_in_one_piece_alone(model: str) -> None:
    options = {"img_size": 32, "depth": 1} if model.startswith("vit") else {}
    trunk = started(model, options, SMALL)
    assert "pooled" in trunk.feature_shapes(SMALL)
    for _ in range(2):
        with pytest.raises(UserError, match=f"the timm model '{model}' is no chain of its top-level modules, so it"):
            trunk.stages()


def test_a_part_that_starts_as_nothing_does_not_hide_that_it_is_missing() -> None:
    class Hidden(nn.Module):
        """Adds something that starts at zero between its children."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
            self.extra = nn.Parameter(torch.zeros(4, 1, 1))

        def forward_features(self, image: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.second(self.first(image) + self.extra)
            return result

    image = torch.randn(1, 3, 16, 16)
    assert find_stages(Hidden(), lambda model: model.forward_features(image), image, 1) == []


def test_tcdcn_is_the_network_of_the_paper() -> None:
    trunk: Any = started("tcdcn", {}, {"image": (1, 40, 40)})
    assert trunk.feature_shapes({"image": (1, 40, 40)}) == {"map": (64, 2, 2), "pooled": (100,)}
    x = batch = torch.randn(2, 1, 40, 40)
    for layer in (trunk.conv1[0], trunk.conv2[0], trunk.conv3[0]):
        x = functional.max_pool2d(functional.conv2d(x, layer.weight, layer.bias).tanh().abs(), 2)
    x = functional.conv2d(x, trunk.conv4[0].weight, trunk.conv4[0].bias).tanh().abs()
    features = trunk({"image": batch})
    torch.testing.assert_close(features["map"], x)
    torch.testing.assert_close(
        features["pooled"], (x.flatten(1) @ trunk.fc[1].weight.T + trunk.fc[1].bias).tanh().abs()
    )
    sizes = (16 * 25 + 16) + (48 * 16 * 9 + 48) + (64 * 48 * 9 + 64) + (64 * 64 * 4 + 64) + (256 * 100 + 100)
    assert sum(parameter.numel() for parameter in trunk.parameters()) == sizes


def test_lenet_is_that_of_the_two_image_tasks() -> None:
    trunk: Any = started("lenet", {}, {"image": (1, 36, 36)})
    assert trunk.feature_shapes({"image": (1, 36, 36)}) == {"map": (20, 5, 5), "pooled": (50,)}
    x = batch = torch.randn(2, 1, 36, 36)
    for layer in (trunk.conv1[0], trunk.conv2[0]):
        x = functional.max_pool2d(functional.conv2d(x, layer.weight, layer.bias), 2).relu()
    pooled = (x.flatten(1) @ trunk.fc[1].weight.T + trunk.fc[1].bias).relu()
    torch.testing.assert_close(trunk({"image": batch})["pooled"], pooled)
    sizes = (10 * 81 + 10) + (20 * 10 * 25 + 20) + (500 * 50 + 50)
    assert sum(parameter.numel() for parameter in trunk.parameters()) == sizes


@pytest.mark.parametrize(("name", "smallest"), [("tcdcn", 32), ("lenet", 20)])
def test_images_too_small_are_one_sentence_and_the_smallest_runs(name: str, smallest: int) -> None:
    inputs = {"image": (3, smallest, smallest)}
    trunk: Trunk = build_trunk(name, {}, inputs)
    assert trunk.feature_shapes(inputs)["map"][1:] == (1, 1)
    with pytest.raises(UserError, match=f"the trunk '{name}' has images of {smallest}×{smallest - 1}: give at least"):
        build_trunk(name, {}, {"image": (3, smallest, smallest - 1)})
    with pytest.raises(UserError, match="takes inputs of 3 dimensions"):
        build_trunk(name, {}, {"mel": (64, 64)})


def test_a_module_that_is_never_called_is_no_feature() -> None:
    inputs = {"mel": (6, 5)}
    with pytest.raises(UserError, match="the trunk does not call its module 'layers' by itself"):
        build_trunk("bilstm", {"hidden": [4]}, inputs).tap({"main": "layers"}, inputs)
