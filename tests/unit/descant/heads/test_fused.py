"""Fused heads give the numbers of separate ones, and move only the tasks that are taught."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from descant.heads import LinearHead
from descant.heads.fused import FusedHeads

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((6,), (3,)), ((4, 6), (1,)), ((6, 2, 2), (2, 2))]


def made(feature: tuple[int, ...], shape: tuple[int, ...]) -> tuple[dict[str, LinearHead], FusedHeads]:
    torch.manual_seed(0)
    heads = {name: LinearHead(feature, shape) for name in ("a", "b", "c")}
    return heads, FusedHeads(copy.deepcopy(heads))


@pytest.mark.parametrize(("feature", "shape"), SHAPES)
@pytest.mark.parametrize("tasks", [["a", "b", "c"], ["c", "a"], ["b"]])
def test_outputs_and_gradients_are_those_of_separate_heads(
    feature: tuple[int, ...], shape: tuple[int, ...], tasks: list[str]
) -> None:
    heads, fused = made(feature, shape)
    inputs = [torch.randn(5, *feature, requires_grad=True)]
    inputs.append(inputs[0].detach().clone().requires_grad_())
    found = dict(zip(tasks, fused(inputs[0], tasks).unbind(1), strict=True))
    expected = {name: heads[name](inputs[1]) for name in tasks}
    for name in tasks:
        assert found[name].shape == (5, *shape)
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6)
    for outputs in (found, expected):
        sum(output.square().sum() * (place + 1) for place, output in enumerate(outputs.values())).backward()  # type: ignore[union-attr]
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-5, atol=1e-5)
    assert fused.weight_KOF.grad is not None
    for row, name in enumerate(fused.tasks):
        linear = next(layer for layer in heads[name] if isinstance(layer, nn.Linear))
        gradient = linear.weight.grad if name in tasks else torch.zeros_like(linear.weight)
        torch.testing.assert_close(fused.weight_KOF.grad[row], gradient, rtol=1e-5, atol=1e-5)


def test_a_tasks_weights_have_the_names_of_a_head_of_its_own_and_can_be_put_back() -> None:
    heads, fused = made((6, 2, 2), (3,))
    assert {name: value.shape for name, value in fused.state_of("b").items()} == {
        name: value.shape for name, value in heads["b"].state_dict().items()
    }
    fused.load_state_of("b", {name: value + 1 for name, value in heads["a"].state_dict().items()})
    for name, value in fused.state_of("b").items():
        assert torch.equal(value, heads["a"].state_dict()[name] + 1)
    for name, value in fused.state_of("c").items():
        assert torch.equal(value, heads["c"].state_dict()[name])
