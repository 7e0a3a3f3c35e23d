"""Cross-stitch units are the sums of their paper, on small trunks and on those that are shipped."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from descant.errors import UserError
from descant.sharing import sharings
from descant.trunks import build_trunk
from sharing_case import FEATURES, disturbed, images, shared


@pytest.mark.parametrize(("tasks", "own", "others"), [(1, 1.0, 0.0), (2, 0.9, 0.1), (3, 0.9, 0.05)])
def test_units_start_at_nine_tenths_of_the_own_trunk(tasks: int, own: float, others: float) -> None:
    features = dict(list(FEATURES.items())[:tasks])
    sharing: Any = shared("cross_stitch", {}, features)
    for alpha in sharing.alphas:
        expected = torch.full((tasks, tasks), others).fill_diagonal_(own)
        torch.testing.assert_close(alpha.detach(), expected)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("after", [None, ["first"]])
def test_after_a_stage_each_goes_on_with_the_weighted_sum(per_channel: bool, after: list[str] | None) -> None:
    features = {"main": "pooled", "help": "first", "more": "map"}
    options = {"per_channel": per_channel, "after": after}
    sharing: Any = disturbed(shared("cross_stitch", options, features))
    x: list[Tensor] = [images()["image"]] * 3
    seen: dict[str, list[Tensor]] = {}
    for number, stage in enumerate(("first", "second")):
        x = [trunk.get_submodule(stage)(value) for trunk, value in zip(sharing.trunks.values(), x, strict=True)]
        if after is None or stage in after:
            formula = "ijc,jbchw->ibchw" if per_channel else "ij,jbchw->ibchw"
            x = list(torch.einsum(formula, sharing.alphas[number], torch.stack(x)))
        seen[stage] = x
    expected = {"main": x[0].mean((2, 3)), "help": seen["first"][1], "more": x[2]}
    given = sharing(images(), list(features))
    for task, feature in expected.items():
        torch.testing.assert_close(given[task], feature)


TRUNKS: list[tuple[str, dict[str, Any], dict[str, tuple[int, ...]], str, int]] = [
    ("bilstm", {"hidden": [4, 3]}, {"mel": (6, 5)}, "layers.0", 8),
    ("mlp", {"hidden": [5, 4]}, {"a": (3,), "b": (2, 2)}, "layers.2", 5),
    ("tcdcn", {}, {"image": (1, 40, 40)}, "conv1", 16),
    ("lenet", {}, {"image": (1, 36, 36)}, "conv2", 20),
    ("resnet10t", {}, {"image": (3, 32, 32)}, "model.layer2", 128),
    ("convnext_atto", {}, {"mel": (32, 32)}, "model.stages.1", 80),
]


@pytest.mark.parametrize(("trunk", "options", "inputs", "stage", "channels"), TRUNKS)
def test_it_serves_the_trunks_that_are_shipped(
    trunk: str, options: dict[str, Any], inputs: dict[str, tuple[int, ...]], stage: str, channels: int
) -> None:
    def make_trunk() -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return build_trunk(trunk, options, inputs)

    alone = make_trunk().eval()
    given = {name: torch.randn(2, *shape) for name, shape in inputs.items()}
    features = {"main": "pooled", "help": "pooled", "deep": stage}
    sharing: Any = sharings.build(
        "cross_stitch", {"per_channel": True}, make_trunk=make_trunk, features=features, inputs=inputs
    ).eval()
    outputs = sharing(given, list(features))
    assert all(output.shape == (2, *sharing.shapes[task]) for task, output in outputs.items())
    # Trunks that start alike mix to themselves.
    for task in ("main", "help"):
        torch.testing.assert_close(outputs[task], alone(given)["pooled"], rtol=1e-3, atol=1e-4)
    assert channels in {alpha.shape[2] for alpha in sharing.alphas}
    outputs["main"].sum().backward()
    assert all(alpha.grad is not None for alpha in sharing.alphas)


def test_a_transformer_of_timm_is_refused_in_one_sentence() -> None:
    inputs = {"image": (3, 32, 32)}
    with pytest.raises(UserError, match="the timm model 'vit_tiny_patch16_224' is no chain of its top-level modules,"):
        shared(
            "cross_stitch",
            make_trunk=lambda: build_trunk("vit_tiny_patch16_224", {"img_size": 32, "depth": 1}, inputs),
            inputs=inputs,
        )
