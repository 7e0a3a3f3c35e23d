"""Trunks give the features they name, in the shapes they say, for any batch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from descant.errors import UserError
from descant.trunks import Trunk, build_trunk, register_trunk

FRAMES: dict[str, tuple[int, ...]] = {"mel": (20, 16)}
IMAGE: dict[str, tuple[int, ...]] = {"image": (3, 32, 32)}
CASES: list[tuple[str, dict[str, Any], dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]] = [
    ("bilstm", {"hidden": [8, 6]}, FRAMES, {"sequence": (20, 12), "pooled": (12,)}),
    ("mlp", {"hidden": [8]}, {"b": (3,), "a": (2, 4)}, {"pooled": (8,)}),
    ("resnet10t", {}, IMAGE, {"map": (512, 1, 1), "pooled": (512,)}),
    ("resnet10t", {}, {"mel": (64, 32)}, {"map": (512, 2, 1), "pooled": (512,)}),
    ("vit_tiny_patch16_224", {"img_size": 32}, IMAGE, {"sequence": (5, 192), "pooled": (192,)}),
]


@pytest.mark.parametrize(("name", "options", "inputs", "shapes"), CASES)
def test_features_have_the_shapes_that_are_promised(
    name: str, options: dict[str, Any], inputs: dict[str, tuple[int, ...]], shapes: dict[str, tuple[int, ...]]
) -> None:
    trunk = build_trunk(name, options, inputs)
    trunk.train()
    assert trunk.feature_shapes(inputs) == shapes
    assert trunk.training, "asking for shapes changes no mode"
    batch = {key: torch.randn(3, *shape) for key, shape in inputs.items()}
    features = trunk(batch)
    assert {key: tuple(value.shape) for key, value in features.items()} == {
        key: (3, *shape) for key, shape in shapes.items()
    }
    sum(feature.sum() for feature in features.values()).backward()
    assert any(parameter.grad is not None for parameter in trunk.parameters())


def test_the_output_of_any_module_can_be_a_feature() -> None:
    trunk = build_trunk("resnet10t", {}, IMAGE)
    shapes = trunk.tap({"main": "pooled", "deep": "model.layer2", "deeper": "model.layer2"}, IMAGE)
    assert shapes == {"main": (512,), "deep": (128, 4, 4), "deeper": (128, 4, 4)}
    batch = {"image": torch.randn(3, 3, 32, 32)}
    trunk.eval()
    features, copied = trunk(batch), copy.deepcopy(trunk)(batch)
    model = trunk.get_submodule("model")
    children = dict(model.named_children())
    value = batch["image"]
    for name in ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2"):
        value = children[name](value)
    torch.testing.assert_close(features["model.layer2"], value)
    torch.testing.assert_close(copied["model.layer2"], value)
    features["model.layer2"].sum().backward()
    assert children["conv1"][0].weight.grad is not None
    assert all(parameter.grad is None for parameter in children["layer3"].parameters())


def test_a_feature_is_what_its_module_gave_though_a_later_one_writes_into_it() -> None:
    trunk = build_trunk("resnet18", {}, IMAGE)
    trunk.tap({"early": "model.bn1", "late": "model.layer4"}, IMAGE)
    model = trunk.get_submodule("model")
    assert model.get_submodule("act1").inplace, "a ReLU that writes into what bn1 gave"
    trunk.eval()
    batch = torch.randn(3, *IMAGE["image"])
    features = trunk({"image": batch})
    expected = model.get_submodule("bn1")(model.get_submodule("conv1")(batch))
    torch.testing.assert_close(features["model.bn1"], expected)
    assert float(expected.detach().min()) < -0.1
    (gradient,) = torch.autograd.grad(features["model.bn1"].sum(), [model.get_parameter("bn1.bias")])
    torch.testing.assert_close(gradient, torch.full_like(gradient, float(expected[:, 0].numel())))


def test_of_several_outputs_the_first_is_the_feature() -> None:
    trunk = build_trunk("bilstm", {"hidden": [8, 6], "dropout": 0.0}, FRAMES)
    assert trunk.tap({"early": "layers.0"}, FRAMES) == {"early": (20, 16)}
    x = torch.randn(2, 20, 16)
    torch.testing.assert_close(trunk({"mel": x})["layers.0"], trunk.get_submodule("layers.0")(x)[0])


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        (
            "model.layer9",
            r"'deep' reads the feature 'model.layer9', which the trunk lacks; it has map, pooled, ",
        ),
        ("mdel.layer2", r"did you mean 'model.layer2'"),
    ],
)
def test_a_module_that_there_is_not_is_one_sentence(feature: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_trunk("resnet10t", {}, IMAGE).tap({"deep": feature}, IMAGE)


def test_asking_for_shapes_moves_no_statistics() -> None:
    trunk = build_trunk("resnet10t", {}, IMAGE)
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    trunk.feature_shapes(IMAGE)
    assert all(torch.equal(before[key], value) for key, value in trunk.state_dict().items())


def test_the_bilstm_is_two_plain_ones_and_a_maximum() -> None:
    trunk = build_trunk("bilstm", {"hidden": [8, 6], "dropout": 0.0}, FRAMES)
    x = torch.randn(2, 20, 16)
    first, second = trunk.get_submodule("layers")
    sequence = second(first(x)[0])[0]
    features = trunk({"mel": x})
    torch.testing.assert_close(features["sequence"], sequence)
    torch.testing.assert_close(features["pooled"], sequence.max(1).values)


def test_maps_have_their_channels_first() -> None:
    trunk = build_trunk(
        "swin_tiny_patch4_window7_224", {"img_size": 56, "embed_dim": 24, "depths": [1, 1]}, {"x": (3, 56, 56)}
    )
    shapes = trunk.feature_shapes({"x": (3, 56, 56)})
    assert shapes["map"][0] == shapes["pooled"][0]


@pytest.mark.parametrize(
    ("name", "options", "inputs", "said"),
    [
        ("bilstn", {}, FRAMES, "there is no trunk 'bilstn': did you mean 'bilstm'"),
        ("resnet10x", {}, IMAGE, "there is no trunk 'resnet10x': did you mean"),
        ("bilstm", {"width": 3}, FRAMES, "the trunk 'bilstm' has no option 'width'"),
        ("bilstm", {"hidden": []}, FRAMES, "at least one width"),
        ("bilstm", {"dropout": 1.0}, FRAMES, "dropout from 0"),
        ("bilstm", {}, IMAGE, "takes inputs of 2 dimensions, but 'image' has the shape"),
        ("bilstm", {}, {**FRAMES, "other": (3, 4)}, "takes one input, but the recipe has"),
        ("mlp", {"hidden": [0]}, FRAMES, "at least one width"),
        ("resnet10t", {"no_such_argument": 1}, IMAGE, "timm cannot make the model"),
        ("timm", {}, IMAGE, "needs the option 'model'"),
        ("vit_tiny_patch16_224", {}, IMAGE, "vit_tiny_patch16_224|image"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(
    name: str, options: dict[str, Any], inputs: dict[str, tuple[int, ...]], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        build_trunk(name, options, inputs).feature_shapes(inputs)


def test_a_user_adds_a_trunk_as_a_task() -> None:
    @register_trunk("trunk_of_a_test")
    class Mean(Trunk):
        def __init__(self, inputs: dict[str, tuple[int, ...]], scale: float = 1.0) -> None:
            super().__init__()
            self.scale = scale

        def forward(self, inputs: Any) -> dict[str, torch.Tensor]:
            return {"pooled": self.scale * inputs["mel"].mean(1), "rough": inputs["mel"][:, :2]}

    trunk = build_trunk("trunk_of_a_test", {"scale": 2.0}, FRAMES)
    assert trunk.feature_shapes(FRAMES) == {"pooled": (16,), "rough": (2, 16)}
