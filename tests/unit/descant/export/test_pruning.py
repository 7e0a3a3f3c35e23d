"""Pruning: what hangs on weights alone is computed once, what nothing reads is gone."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from descant.export.program import Program, trace
from descant.export.pruning import prune
from descant.inputs import Front
from descant.tasks import Task


class Odd(nn.Module):
    """Weights that are read, that are parts of others, that grow, that are noise, and that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = nn.Parameter(torch.randn(4, 3))
        self.small = nn.Parameter(torch.randn(3))
        self.unread = nn.Parameter(torch.randn(5))
        self.register_buffer("count", torch.tensor(7))

    def forward(self, x: Tensor) -> Tensor:
        self.unread.sum() + self.count
        row = self.whole[1] * 2.0
        grown = self.small.expand(100, 3)
        return x * row + grown.sum(0)


def pruned(module: nn.Module) -> fx.GraphModule:
    with torch.no_grad():
        exported = torch.export.export(module, (torch.randn(2, 3),))
    graph = exported.module(check_guards=False)
    assert isinstance(graph, fx.GraphModule)
    prune(graph)
    return graph


def test_it_gives_the_same_and_holds_less() -> None:
    module = Odd().requires_grad_(False)
    graph = pruned(module)
    x = torch.randn(2, 3)
    assert torch.equal(graph(x), module(x))
    state = graph.state_dict()
    assert "unread" not in state and "count" not in state and "whole" not in state
    assert sum(value.numel() for value in state.values()) == 3 + 3, "a row of one weight, and a sum of the other"
    assert not any(value.requires_grad for value in state.values())


def test_what_is_larger_than_its_weights_is_computed_at_each_call() -> None:
    class Growing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.randn(50, 1)), nn.Parameter(torch.randn(1, 3))

        def forward(self, x: Tensor) -> Tensor:
            return x @ (self.a @ self.b).T

    module = Growing().requires_grad_(False)
    graph = pruned(module)
    assert {name: tuple(value.shape) for name, value in graph.state_dict().items()} == {"a": (50, 1), "b": (1, 3)}
    x = torch.randn(2, 3)
    assert torch.equal(graph(x), module(x))


def test_what_is_changed_in_place_hides_nothing() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read, self.unread = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, inputs: dict[str, Tensor], tasks: list[str]) -> dict[str, Tensor]:
            x = self.read(inputs["x"])
            self.unread(x).relu_().add_(1.0)
            return {"a": x.relu_()}

    traced = trace(Program(InPlace(), {"a": Task("a", {}, {})}, {"x": Front((3,))}))
    assert sum(value.numel() for value in traced.state_dict.values()) == 3 * 3 + 3


def test_random_numbers_and_changes_in_place_are_left_alone() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.bernoulli(self.weight * 0.5)

    graph = pruned(Noisy().requires_grad_(False))
    x = torch.zeros(2, 3)
    assert len({tuple(graph(x)[0].tolist()) for _ in range(50)}) > 1
