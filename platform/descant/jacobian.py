"""Several gradients of one graph, of one parameter after the other: K backward passes that go hand in hand.

A pass of its own for each task would have to keep all its gradients until the last task's are known: K times the
network. Here each operation of the graph is gone through for all tasks before the next one, by its own kernel, so that
a parameter's K gradients are there together and may be let go of before the next parameter's are made.

What modules do to gradients by hooks of their own, on their way through the graph, is not done here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import torch
from torch import Tensor
from torch.autograd.graph import Node

Rows = Sequence[Tensor | None]
"""By row of the Jacobian, a gradient; None for 0."""


@torch.no_grad()
def visit_gradients(
    ends: Iterable[tuple[Tensor, Rows]], parameters: Collection[Tensor], visit: Callable[[Tensor, Rows], None]
) -> None:
    """Hand over the gradients of each parameter that the graph reaches, in an order that the graph alone decides.

    The graph is kept.

    Args:
        ends: where the passes begin: tensors, and of each the gradients there, one for each pass.
        parameters: whose gradients are wanted.
        visit: called with a parameter and its gradients, one for each pass; they are the caller's.
    """
    begun = [(tensor.grad_fn, tensor.output_nr, rows) for tensor, rows in ends if tensor.grad_fn is not None]
    passes = max((len(rows) for _, _, rows in begun), default=0)
    order = _leading_to(parameters, _consumers_first([node for node, _, _ in begun]))
    waiting: dict[Node, list[list[Tensor | None]]] = {node: [[] for _ in range(passes)] for node in order}
    for node, place, rows in begun:
        for row, gradient in enumerate(rows):
            _add(waiting, node, place, row, gradient)
    for node in order:
        found = waiting.pop(node)
        if _is_leaf(node):
            visit(node.variable, [inputs[0] if inputs else None for inputs in found])  # type: ignore[attr-defined]
            continue
        for row, inputs in enumerate(found):
            if any(gradient is not None for gradient in inputs):
                given = node(*inputs)  # type: ignore[operator]
                for (following, place), gradient in zip(
                    node.next_functions, given if isinstance(given, tuple) else (given,), strict=True
                ):
                    _add(waiting, following, place, row, gradient)


def _add(
    waiting: dict[Node, list[list[Tensor | None]]], node: Node | None, place: int, row: int, gradient: Tensor | None
) -> None:
    """Add a gradient to those that a node of interest is to be called with."""
    if node is None or gradient is None or node not in waiting:
        return
    whole = node._input_metadata
    like = whole[place]
    if gradient.shape != like.shape:
        gradient = gradient.sum_to_size(like.shape)  # of what was broadcast
    gradient = gradient.to(like.dtype)
    inputs = waiting[node][row] = waiting[node][row] or [None] * len(whole)
    before = inputs[place]
    inputs[place] = gradient if before is None else before + gradient


def _consumers_first(roots: Sequence[Node]) -> list[Node]:
    """Return all nodes that the roots lead to, each after those that lead to it."""
    seen: set[Node] = set()
    finished: list[Node] = []
    for root in roots:
        stack = [(root, False)]
        while stack:
            node, is_done = stack.pop()
            if is_done:
                finished.append(node)
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                stack.extend((following, False) for following, _ in node.next_functions if following is not None)
    return finished[::-1]


def _leading_to(parameters: Collection[Tensor], order: Sequence[Node]) -> list[Node]:
    """Return those nodes, in their order, on whose way down one of the parameters lies."""
    wanted = {id(parameter) for parameter in parameters}
    leading: set[Node] = set()
    for node in reversed(order):
        if _is_leaf(node):
            leads = id(node.variable) in wanted  # type: ignore[attr-defined]
        else:
            leads = any(following in leading for following, _ in node.next_functions)
        if leads:
            leading.add(node)
    return [node for node in order if node in leading]


def _is_leaf(node: Node) -> bool:
    return type(node).__name__ == "AccumulateGrad"
