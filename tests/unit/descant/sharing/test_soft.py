"""Soft sharing: each coupling is its paper's formula; none leaves tasks alone, a huge one makes them one."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from descant.sharing import Coupling, Sharing
from descant.trunks import build_trunk
from sharing_case import FEATURES, disturbed, images, shared

PAIRS = {"all": list(itertools.combinations(FEATURES, 2)), "main": [("main", "help"), ("main", "more")]}


def coupled(sharing: Sharing, tasks: Collection[str] = tuple(FEATURES)) -> Coupling:
    sharing(images(), tasks)
    return sharing.coupling(tasks)


def weights(sharing: Any, task: str, layer: str = "") -> list[Tensor]:
    return [value for name, value in sharing.trunks[task].named_parameters() if name.startswith(layer)]


@pytest.mark.parametrize("to", ["all", "main"])
@pytest.mark.parametrize("layer", ["", "second"])
def test_l2_of_weights_is_the_squared_frobenius_norm_of_differences(to: str, layer: str) -> None:
    options = {"strength": 0.5, "to": to, "layers": [layer] if layer else None}
    sharing = disturbed(shared("soft", options))
    pairs = [zip(weights(sharing, a, layer), weights(sharing, b, layer), strict=True) for a, b in PAIRS[to]]
    expected = 0.5 * sum(torch.linalg.norm(a - b) ** 2 for pair in pairs for a, b in pair)
    coupling = coupled(sharing)
    assert coupling.rows_B is None and coupling.weights is not None
    torch.testing.assert_close(coupling.weights, expected)


@pytest.mark.parametrize("to", ["all", "main"])
def test_the_trace_norm_is_the_sum_of_singular_values_of_stacked_weights(to: str) -> None:
    sharing = disturbed(shared("soft", {"couple": "trace_norm", "strength": 2, "to": to}))
    groups = [tuple(FEATURES)] if to == "all" else PAIRS["main"]
    expected = 0.0
    for group in groups:
        for values in zip(*(weights(sharing, task) for task in group), strict=True):
            expected += 2.0 * torch.linalg.svdvals(torch.stack(values, -1).flatten(0, -2)).sum().item()
    coupling = coupled(sharing)
    assert coupling.weights is not None
    assert coupling.weights.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("value", [0.0, 1e-20, float("nan")])
def test_weights_of_zero_do_not_break_the_trace_norm_and_lost_ones_are_seen(value: float) -> None:
    sharing: Any = shared("soft", {"couple": "trace_norm", "strength": 1})
    with torch.no_grad():
        for task in FEATURES:
            sharing.trunks[task].get_parameter("first.0.bias").fill_(value)
    total = coupled(sharing).weights
    assert total is not None and bool(total.isfinite()) == (value == value)
    total.backward()
    assert all(bool(p.grad.isfinite().all()) for p in sharing.parameters()) == (value == value)


def test_where_tasks_are_equal_the_trace_norm_pulls_each_towards_zero_alike() -> None:
    sharing: Any = shared("soft", {"couple": "trace_norm", "strength": 1})
    coupling = coupled(sharing)
    assert coupling.weights is not None
    coupling.weights.backward()
    for values in zip(*(weights(sharing, task) for task in FEATURES), strict=True):
        direction = values[0].detach() / torch.linalg.norm(values[0].detach()) / len(values) ** 0.5
        for value in values:
            torch.testing.assert_close(value.grad, direction, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("to", ["all", "main"])
@pytest.mark.parametrize("layers", [None, ["first"], ["first", "map"]])
@pytest.mark.parametrize("couple", ["l2_activations", "cosine_activations"])
def test_activations_are_compared_for_each_sample(couple: str, layers: list[str] | None, to: str) -> None:
    sharing: Any = disturbed(shared("soft", {"couple": couple, "strength": 0.5, "to": to, "layers": layers}))
    given = {}
    for task in FEATURES:
        trunk = sharing.trunks[task]
        given[task] = {**trunk(images()), "first": trunk.first(images()["image"])}
    expected = []
    for row in range(3):
        total = 0.0
        for (a, b), name in itertools.product(PAIRS[to], layers or ["pooled"]):
            x, y = given[a][name][row].flatten(), given[b][name][row].flatten()
            cosine = x @ y / (x.norm() * y.norm())
            total += 0.5 * ((x - y).square().mean() if couple.startswith("l2") else 1.0 - cosine).item()
        expected.append(total)
    coupling = coupled(sharing)
    assert coupling.weights is None and coupling.rows_B is not None
    torch.testing.assert_close(coupling.rows_B, torch.tensor(expected))


COUPLES = ["l2_weights", "l2_activations", "cosine_activations", "trace_norm"]


@pytest.mark.parametrize("to", ["all", "main"])
@pytest.mark.parametrize("couple", COUPLES)
def test_only_active_tasks_are_coupled(couple: str, to: str) -> None:
    sharing = disturbed(shared("soft", {"couple": couple, "strength": 1.0, "to": to}))
    assert coupled(sharing, ["help"]) == coupled(sharing, ["main"]) == Coupling()
    assert to == "all" or coupled(sharing, ["help", "more"]) == Coupling()
    two = coupled(sharing, ["more", "main"])
    total = two.weights if two.rows_B is None else two.rows_B.sum()
    assert total is not None
    total.backward()
    moved = {name.split(".")[1] for name, p in sharing.named_parameters() if p.grad is not None}
    assert moved == {"main", "more"}


@pytest.mark.parametrize("couple", COUPLES)
def test_of_what_tasks_read_only_what_both_train_is_compared(couple: str) -> None:
    features = {"main": "pooled", "early": "first"}
    sharing = disturbed(shared("soft", {"couple": couple, "strength": 1.0}, features))
    assert sharing.shapes == {"main": (4,), "early": (3, 4, 4)}
    coupling = coupled(sharing, list(features))
    total = coupling.weights if coupling.rows_B is None else coupling.rows_B.sum()
    assert total is not None
    total.backward()
    assert all((p.grad is None) == (".second." in name) for name, p in sharing.named_parameters())


@pytest.mark.parametrize("couple", COUPLES)
def test_nothing_is_pulled_to_what_is_frozen(couple: str) -> None:
    sharing: Any = disturbed(shared("soft", {"couple": couple, "strength": 1.0, "to": "main"}))
    both = coupled(sharing)
    sharing.trunks["more"].requires_grad_(False)
    one, two = coupled(sharing), coupled(sharing, ["main", "help"])
    values = [c.weights if c.rows_B is None else c.rows_B.sum() for c in (both, one, two)]
    assert values[0] > values[1] == values[2]
    sharing.trunks["help"].requires_grad_(False)
    assert coupled(sharing) == Coupling()


@pytest.mark.parametrize("couple", COUPLES)
def test_gradients_of_couplings_are_right(couple: str) -> None:
    sharing = disturbed(shared("soft", {"couple": couple, "strength": 1.0})).double()
    names = [name for name, _ in sharing.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in sharing.parameters()]
    image = images(2)["image"].double()

    class Coupled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sharing = sharing

        def forward(self, image: Tensor) -> Tensor:
            self.sharing({"image": image}, FEATURES)
            coupling = self.sharing.coupling(FEATURES)
            total = coupling.weights if coupling.rows_B is None else coupling.rows_B
            assert total is not None
            return total

    module = Coupled()

    def total(*parameters: Tensor) -> Tensor:
        given = {f"sharing.{name}": value for name, value in zip(names, parameters, strict=True)}
        result: Tensor = torch.func.functional_call(module, given, (image,))
        return result

    # The trace norm is smoothed by a constant that its gradient leaves out.
    assert torch.autograd.gradcheck(total, values, fast_mode=True, rtol=1e-4 if couple == "trace_norm" else 1e-3)


def test_the_strength_follows_its_schedule_and_is_measured_in_training_alone() -> None:
    schedule = {"schedule": "linear", "start": 0.0, "end": 2.0}
    sharing = disturbed(shared("soft", {"strength": schedule, "couple": "l2_activations"}))
    assert coupled(sharing) == Coupling()
    sums = []
    for epoch in (1, 2):
        sharing.begin_epoch(epoch, 3)
        coupling: Any = coupled(sharing)
        sums.append(coupling.rows_B.sum().item())
    assert sums[1] == pytest.approx(2 * sums[0])


def trained(
    options: dict[str, Any], tasks: list[str], steps: int = 40, rate: float = 0.05, apart: bool = False
) -> dict[str, Tensor]:
    sharing: Any = shared("soft", options, {task: "pooled" for task in tasks})
    sharing = disturbed(sharing) if apart else sharing
    optimizer = torch.optim.SGD(sharing.parameters(), rate, momentum=0.9)
    targets = {"main": 0.5, "help": -0.5, "more": 0.0}
    for step in range(steps):
        features = sharing(images(4, step), tasks)
        loss = torch.stack([(feature - targets[task]).square().sum() for task, feature in features.items()]).sum()
        coupling = sharing.coupling(tasks)
        for term in (coupling.weights, None if coupling.rows_B is None else coupling.rows_B.mean()):
            loss = loss if term is None else loss + term
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return dict(sharing.state_dict())


@pytest.mark.parametrize("couple", COUPLES)
def test_with_coupling_0_tasks_end_exactly_as_alone(couple: str) -> None:
    together = trained({"couple": couple, "strength": 0}, list(FEATURES))
    for task in FEATURES:
        alone = trained({"couple": couple, "strength": 1.0}, [task])
        assert alone and all(torch.equal(value, together[name]) for name, value in alone.items())


@pytest.mark.parametrize("to", ["all", "main"])
def test_a_huge_coupling_ends_with_equal_weights(to: str) -> None:
    def spread(strength: float) -> float:
        end = trained({"strength": strength, "to": to}, list(FEATURES), steps=200, rate=2e-6, apart=True)
        values = [torch.cat([v.flatten() for n, v in end.items() if f".{task}." in n]) for task in FEATURES]
        return max(float((a - b).abs().max()) for a, b in itertools.combinations(values, 2))

    assert spread(0.0) > 0.5
    assert spread(1e5) < 1e-4


def test_the_trace_norm_takes_the_same_from_each_singular_value_so_that_the_small_ones_vanish() -> None:
    sharing: Any = disturbed(shared("soft", {"couple": "trace_norm", "strength": 1.0}))

    def singular_values() -> Tensor:
        stacked = [sharing.trunks[task].get_parameter("first.0.weight").detach().flatten() for task in FEATURES]
        return torch.linalg.svdvals(torch.stack(stacked))

    optimizer, before = torch.optim.SGD(sharing.parameters(), 0.01), singular_values()
    for _ in range(30):
        coupling = sharing.coupling(FEATURES)
        optimizer.zero_grad()
        coupling.weights.backward()
        optimizer.step()
    torch.testing.assert_close(singular_values(), before - 0.3, rtol=0.0, atol=1e-3)


def test_it_serves_trunks_with_recurrence_and_mixed_features() -> None:
    inputs = {"mel": (6, 4)}
    sharing = shared(
        "soft",
        {"couple": "l2_activations", "strength": 1.0},
        {"genre": "pooled", "again": "sequence"},
        make_trunk=lambda: build_trunk("bilstm", {"hidden": [3, 2], "dropout": 0.0}, inputs),
        inputs=inputs,
    )
    assert sharing.shapes == {"genre": (4,), "again": (6, 4)}
    mel = torch.randn(2, 6, 4)
    one, other = (trunk({"mel": mel}) for trunk in sharing.get_submodule("trunks").children())
    expected = sum((one[name] - other[name]).square().flatten(1).mean(1) for name in ("pooled", "sequence"))
    sharing({"mel": mel}, ["genre", "again"])
    torch.testing.assert_close(sharing.coupling(["genre", "again"]).rows_B, expected)
