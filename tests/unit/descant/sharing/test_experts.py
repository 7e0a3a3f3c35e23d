"""Mixtures of experts are the formulas of Ma et al. (2018) and Tang et al. (2020)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sharing_case import FEATURES, disturbed, images, shared


def layers(expert: Any, x: Tensor) -> Tensor:
    for linear in expert[::2]:
        x = torch.relu(x @ linear.weight.T + linear.bias)
    return x


def mixture(gate: Any, x: Tensor, experts: list[Tensor]) -> Tensor:
    logits = x @ gate.linear.weight.T
    shares = torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)
    return torch.stack([share[:, None] * expert for share, expert in zip(shares.T, experts, strict=True)]).sum(0)


def test_mmoe_is_each_tasks_softmax_over_shared_experts() -> None:
    sharing: Any = disturbed(shared("mmoe", {"experts": 3, "hidden": [6, 5]}))
    x = sharing.trunk(images())["pooled"]
    experts = [layers(expert, x) for expert in sharing.experts]
    features = sharing(images(), FEATURES)
    for task in FEATURES:
        torch.testing.assert_close(features[task], mixture(sharing.gates[task], x, experts))


def test_cgc_mixes_a_tasks_own_experts_with_the_shared_ones() -> None:
    sharing: Any = disturbed(shared("cgc", {"shared": 2, "own": 2, "hidden": [5]}))
    x = sharing.trunk(images())["pooled"]
    common = [layers(expert, x) for expert in sharing.shared[0]]
    features = sharing(images(), FEATURES)
    for task in FEATURES:
        own = [layers(expert, x) for expert in sharing.own[task][0]]
        torch.testing.assert_close(features[task], mixture(sharing.gates[task][0], x, own + common))


def test_ple_feeds_each_level_by_the_gates_of_the_one_before_the_shared_one_too() -> None:
    sharing: Any = disturbed(shared("ple", {"levels": 3, "shared": 2, "own": 1, "hidden": [5]}))
    shared_x = sharing.trunk(images())["pooled"]
    x = dict.fromkeys(FEATURES, shared_x)
    for level in range(3):
        common = [layers(expert, shared_x) for expert in sharing.shared[level]]
        own = {task: [layers(expert, x[task]) for expert in sharing.own[task][level]] for task in FEATURES}
        x = {task: mixture(sharing.gates[task][level], x[task], own[task] + common) for task in FEATURES}
        if level < 2:
            everyone = own["main"] + own["help"] + own["more"] + common
            shared_x = mixture(sharing.shared_gates[level], shared_x, everyone)
    features = sharing(images(), FEATURES)
    for task in FEATURES:
        torch.testing.assert_close(features[task], x[task])


def test_without_the_shared_gate_the_second_level_would_be_another() -> None:
    sharing: Any = disturbed(shared("ple", {"levels": 2, "hidden": [5]}))
    before = sharing(images(), FEATURES)["main"]
    with torch.no_grad():
        sharing.shared_gates[0].linear.weight += 1.0 * torch.arange(20.0).reshape(5, 4)
    assert not torch.allclose(sharing(images(), FEATURES)["main"], before)


def test_one_level_of_ple_is_cgc() -> None:
    options = {"shared": 2, "own": 2, "hidden": [5]}
    ple, cgc = shared("ple", {"levels": 1, **options}).eval(), shared("cgc", options).eval()
    cgc.load_state_dict(ple.state_dict())
    for task, feature in ple(images(), FEATURES).items():
        assert torch.equal(feature, cgc(images(), FEATURES)[task])
