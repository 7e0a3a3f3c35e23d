"""Gradients at the cut: their inner products and weighted sums are those that single backward passes give."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from descant.heads import LinearHead, mlp
from descant.model import MultiTaskModel
from descant.schedules import Constant
from descant.sharing import sharings
from descant.trunks import build_trunk

INPUTS = {"mel": (6, 4)}
FEATURES = {"a": "pooled", "b": "pooled", "c": "pooled", "d": "sequence", "e": "sequence", "f": "pooled", "g": "pooled"}
"""``a``, ``b`` and ``c`` are fused, ``c`` behind a gate of its own; so are ``d`` and ``e``; ``f`` and ``g`` are not."""
GATES = {"c": -0.5, "g": 0.25}


def model(gates: dict[str, float] = GATES) -> MultiTaskModel:
    torch.manual_seed(0)
    sharing = sharings.build(
        "hard",
        {},
        make_trunk=lambda: build_trunk("bilstm", {"hidden": [5], "dropout": 0.0}, INPUTS),
        features=FEATURES,
        inputs=INPUTS,
    )
    heads: dict[str, nn.Module] = {
        name: mlp(sharing.shapes[name], 2, hidden=[3]) if name in "fg" else LinearHead(sharing.shapes[name], (2,))
        for name in FEATURES
    }
    schedules = {name: Constant(gates.get(name, 1.0)) for name in FEATURES}
    return MultiTaskModel(sharing, heads, schedules, [("a", "b", "c"), ("d", "e")]).double()


def losses(outputs: Sequence[Tensor]) -> list[Tensor]:
    return [(output.square() * (place + 1)).sum() for place, output in enumerate(outputs)]


BATCH = {"mel": torch.randn(3, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))}


def flat_gradients(made: MultiTaskModel) -> Tensor:
    """Return each task's gradient at both features, one after the other, by a backward pass of its own, (K, N)."""
    features = made.sharing(BATCH, list(FEATURES))
    ends = {feature: features[name].detach().requires_grad_() for name, feature in FEATURES.items()}
    rows = []
    for loss in losses([made.output(name, ends[FEATURES[name]]) for name in FEATURES]):
        found = torch.autograd.grad(loss, list(ends.values()), allow_unused=True)
        parts = [torch.zeros_like(end) if g is None else g for end, g in zip(ends.values(), found, strict=True)]
        rows.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows)


def test_the_gramian_is_that_of_single_backward_passes() -> None:
    made = model()
    outputs = made(BATCH, cut=True)
    assert outputs.cut is not None and set(outputs.cut.tasks) == set(FEATURES)
    outputs.cut.expect_gradients()
    sum(losses([outputs[name] for name in FEATURES])).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is None for parameter in made.sharing.parameters())
    flat_KN = flat_gradients(made)
    expected = flat_KN @ flat_KN.T
    torch.testing.assert_close(outputs.cut.gramian(list(FEATURES)), expected, rtol=1e-10, atol=1e-10)
    shuffled = ["g", "d", "b"]
    places = torch.tensor([list(FEATURES).index(name) for name in shuffled])
    torch.testing.assert_close(outputs.cut.gramian(shuffled), expected[places][:, places], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("weights", [dict.fromkeys(FEATURES, 1.0), {"a": 0.3, "c": 2.0, "d": -1.0, "g": 0.5}])
def test_the_weighted_sum_goes_on_and_heads_learn_unweighted(weights: dict[str, float]) -> None:
    made, plain = model(), model()
    outputs = made(BATCH, cut=True)
    outputs.cut.expect_gradients()
    sum(losses([outputs[name] for name in FEATURES])).backward()  # type: ignore[union-attr]
    pulled = outputs.cut.gradients("c", list(made.sharing.parameters()))
    outputs.cut.backward(weights)
    each = losses([plain(BATCH)[name] for name in FEATURES])
    shared, own = list(plain.sharing.parameters()), [*plain.heads.parameters(), *plain.fused.parameters()]
    total = torch.stack([weights.get(name, 0.0) * loss for name, loss in zip(FEATURES, each, strict=True)]).sum()
    expected = torch.autograd.grad(total, shared, retain_graph=True)
    for ours, theirs in zip(made.sharing.parameters(), expected, strict=True):
        torch.testing.assert_close(ours.grad, theirs, rtol=1e-10, atol=1e-12)
    alone = torch.autograd.grad(each[2], shared, retain_graph=True, allow_unused=True)
    for ours, theirs in zip(pulled, alone, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    unweighted = torch.autograd.grad(torch.stack(each).sum(), own)
    for ours, theirs in zip([*made.heads.parameters(), *made.fused.parameters()], unweighted, strict=True):
        torch.testing.assert_close(ours.grad, theirs, rtol=1e-10, atol=1e-12)


def test_a_task_whose_gate_is_shut_reaches_nothing() -> None:
    made = model({"a": 0.0, "f": 0.0})
    outputs = made(BATCH, cut=True)
    assert set(outputs.cut.tasks) == set(FEATURES) - {"a", "f"}
    outputs.cut.expect_gradients()
    sum(losses([outputs[name] for name in FEATURES])).backward()  # type: ignore[union-attr]
    gramian = outputs.cut.gramian(list(FEATURES))
    assert not gramian[[0, 5]].any() and not gramian[:, [0, 5]].any() and (gramian.diag() > 0).sum() == 5
    assert all(parameter.grad is not None for parameter in made.heads.parameters())


def test_nothing_shared_that_learns_is_no_error() -> None:
    made = model()
    made.sharing.requires_grad_(False)
    outputs = made(BATCH, cut=True)
    assert outputs.cut.tasks == []
    outputs.cut.expect_gradients()
    sum(losses([outputs[name] for name in FEATURES])).backward()  # type: ignore[union-attr]
    assert not outputs.cut.gramian(list(FEATURES)).any()
    outputs.cut.backward({"a": 1.0})
    assert all(parameter.grad is not None for parameter in made.heads.parameters())
