"""Passes that go hand in hand give the gradients that a pass for each would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from descant.jacobian import visit_gradients
from descant.loop.batch_norm import globalise
from descant.loop.ranks import Ranks

PASSES = 3


class Awkward(nn.Module):
    """A layer that is used twice, broadcast parameters, changes in place, and one parameter of no effect."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale, self.shift = nn.Linear(5, 5), nn.Parameter(torch.randn(5)), nn.Parameter(torch.randn(1))
        self.unused = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        first = torch.relu_(self.layer(self.layer(x) * self.scale + self.shift))
        second = first.clone()
        second[:, 1] = self.shift * x[:, 0]
        second[:, 2:] *= 2
        return second.expand(3, *second.shape).sum(0)


def masked_norm() -> nn.Module:
    net = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3))
    for norm in globalise(net, Ranks()):
        norm.valid_B = torch.tensor([True] * 7 + [False])
    return net


def resnet() -> nn.Module:
    timm = pytest.importorskip("timm")
    return timm.create_model("resnet18", num_classes=0)


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "awkward": (Awkward, (8, 5)),
    "masked norm": (masked_norm, (8, 5)),
    "lstm": (lambda: nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True), (3, 7, 5)),
    "transformer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 4, 8)),
    "resnet": (resnet, (4, 3, 32, 32)),
}


def visited(output: Tensor, ends: list[Tensor | None], parameters: list[nn.Parameter]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    visit_gradients([(output, ends)], parameters, lambda parameter, rows: found.update({id(parameter): list(rows)}))
    return found


@pytest.fixture(params=NETS)
def case(request: pytest.FixtureRequest) -> tuple[Tensor, list[Tensor | None], dict[str, nn.Parameter]]:
    """An output, where passes begin, of which the last has nothing to send, and the parameters."""
    torch.manual_seed(0)
    make, shape = NETS[request.param]
    net = make()
    output = net(torch.randn(shape))
    output = output[0] if isinstance(output, tuple) else output
    ends: list[Tensor | None] = [torch.randn_like(output) for _ in range(PASSES - 1)]
    return output, [*ends, None], dict(net.named_parameters())


def test_each_parameter_gets_what_single_passes_give(
    case: tuple[Tensor, list[Tensor | None], dict[str, nn.Parameter]],
) -> None:
    output, ends, parameters = case
    found = visited(output, ends, list(parameters.values()))
    for row, end in enumerate(ends[:-1]):
        alone = torch.autograd.grad(output, list(parameters.values()), end, retain_graph=True, allow_unused=True)
        for (name, parameter), expected in zip(parameters.items(), alone, strict=True):
            if expected is None:
                assert id(parameter) not in found, name
            else:
                torch.testing.assert_close(found[id(parameter)][row], expected, rtol=1e-5, atol=1e-6, msg=name)
    assert all(len(rows) == PASSES and rows[-1] is None for rows in found.values())


def test_only_what_is_asked_for_is_visited(
    case: tuple[Tensor, list[Tensor | None], dict[str, nn.Parameter]],
) -> None:
    output, ends, parameters = case
    reached = visited(output, ends, list(parameters.values()))
    (asked,) = (parameter for parameter in list(parameters.values())[-1:])
    expected = {id(asked)} & reached.keys()
    assert visited(output, ends, [asked]).keys() == expected
    assert visited(output, ends, []) == {}


def test_the_graph_is_kept_and_parameters_have_no_gradient_of_it() -> None:
    net = nn.Linear(3, 2)
    output = net(torch.ones(1, 3))
    visited(output, [torch.ones(1, 2)], list(net.parameters()))
    assert net.weight.grad is None
    torch.autograd.backward(output, torch.ones(1, 2))
    assert net.weight.grad is not None and net.weight.grad.eq(1).all()


def test_several_ends_of_one_graph_add_up() -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(3, 3), nn.Linear(3, 2)
    inner = first(torch.randn(4, 3))
    outer = second(inner.tanh())
    ends = [torch.randn_like(inner), torch.randn_like(outer)]
    found: dict[int, Tensor | None] = {}
    visit_gradients(
        [(outer, [ends[1]]), (inner, [ends[0]])], [first.weight], lambda p, rows: found.update({id(p): rows[0]})
    )
    expected = torch.autograd.grad([inner, outer], first.weight, ends)[0]
    torch.testing.assert_close(found[id(first.weight)], expected)
