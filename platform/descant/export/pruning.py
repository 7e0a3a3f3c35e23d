"""A traced graph without what its outputs do not hang on.

What hangs on weights alone is computed once: the low-rank deltas of an adapter end in the weight that they change, the
rows of fused heads and of cross-stitch units that nobody asked for fall away.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, fx

Values = dict[fx.Node, Any]


@torch.no_grad()
def prune(graph: fx.GraphModule) -> None:
    """Compute what hangs on weights alone, and take out all weights that nothing reads any more.

    A value that is larger than the weights that it is made of is left to be computed at each call.
    """
    values, leaves = _constants(graph)
    for node, value in values.items():
        read = any(user not in values for user in node.users)
        if node.op == "get_attr" or not read or not isinstance(value, Tensor):
            continue
        if value.numel() <= sum(values[leaf].numel() for leaf in leaves[node]):
            _put(graph, node, value, values)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    _forget_unread(graph)


def _constants(graph: fx.GraphModule) -> tuple[Values, dict[fx.Node, set[fx.Node]]]:
    """Return the value of each node that hangs on weights alone, and by node the weights that it is made of."""
    values: Values = {}
    leaves: dict[fx.Node, set[fx.Node]] = {}
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            values[node] = functools.reduce(getattr, str(node.target).split("."), graph)
            leaves[node] = {node}
        elif _is_pure(node) and node.all_input_nodes and all(before in values for before in node.all_input_nodes):
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
            values[node] = node.target(*args, **kwargs)
            leaves[node] = set().union(*(leaves[before] for before in node.all_input_nodes))
    return {node: value for node, value in values.items() if not isinstance(value, fx.GraphModule)}, leaves


def changes_in_place(node: fx.Node) -> bool:
    """Return whether an operation changes one of the tensors that it is given."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def _is_pure(node: fx.Node) -> bool:
    random = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
    return node.op == "call_function" and not random and not changes_in_place(node)


def _put(graph: fx.GraphModule, node: fx.Node, value: Tensor, values: Values) -> None:
    name = f"of_weights_{node.name}"
    graph.register_buffer(name, value.clone())
    with graph.graph.inserting_before(node):
        kept = graph.graph.get_attr(name)
    node.replace_all_uses_with(kept, delete_user_cb=lambda user: user not in values)


def _forget_unread(graph: fx.GraphModule) -> None:
    read = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    for prefix, module in graph.named_modules():
        for tensors in (module._parameters, module._buffers):
            for name in list(tensors):
                if (f"{prefix}.{name}" if prefix else name) not in read:
                    del tensors[name]
