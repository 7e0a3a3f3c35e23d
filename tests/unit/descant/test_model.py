"""Hard sharing and gates: what each task's gradient does to the trunk."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from descant.errors import UserError
from descant.model import MultiTaskModel
from descant.schedules import Constant, Linear, Schedule
from descant.sharing import HardSharing, sharings
from descant.trunks import build_trunk

INPUTS = {"mel": (6, 4)}


def shared(features: dict[str, str]) -> HardSharing:
    made = sharings.build(
        "hard",
        {},
        make_trunk=lambda: build_trunk("bilstm", {"hidden": [5], "dropout": 0.0}, INPUTS),
        features=features,
        inputs=INPUTS,
    )
    assert isinstance(made, HardSharing)
    return made


def trunk_gradient(gradients: dict[str, float | Schedule], epoch: int = 0) -> torch.Tensor:
    torch.manual_seed(0)
    sharing = shared({"main": "pooled", "help": "sequence"})
    heads = {"main": nn.Linear(10, 2), "help": nn.Linear(10, 4)}
    schedules = {name: Constant(gate) if isinstance(gate, float) else gate for name, gate in gradients.items()}
    model = MultiTaskModel(sharing, heads, schedules)
    model.begin_epoch(epoch, 5)
    outputs = model({"mel": torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(1))})
    assert list(outputs) == ["main", "help"]
    assert outputs["help"].shape == (3, 6, 4)
    sum(output.square().sum() for output in (outputs[name] for name in outputs)).backward()
    assert all(parameter.grad is not None for head in heads.values() for parameter in head.parameters())
    return torch.cat([p.grad.flatten() for p in sharing.trunk.parameters() if p.grad is not None])


def test_gates_scale_the_gradient_that_a_head_sends_into_the_trunk() -> None:
    main_alone, both = trunk_gradient({"main": 1.0, "help": 0.0}), trunk_gradient({"main": 1.0, "help": 1.0})
    assert float((both - main_alone).abs().max()) > 1e-3
    for factor in (0.25, 2.0, -1.0):
        scaled = trunk_gradient({"main": 1.0, "help": factor})
        torch.testing.assert_close(scaled, main_alone + factor * (both - main_alone), rtol=1e-4, atol=1e-5)


def test_gates_may_open_and_close_over_the_epochs() -> None:
    opening = Linear(0.0, 1.0)
    for epoch, factor in ((0, 0.0), (2, 0.5), (4, 1.0)):
        ours = trunk_gradient({"main": 1.0, "help": opening}, epoch)
        torch.testing.assert_close(ours, trunk_gradient({"main": 1.0, "help": factor}), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gate", [Constant(0.0), Constant(0.3), Constant(-1.0), Linear(0.0, 1.0)])
def test_a_gate_changes_no_value_and_one_that_opens_later_stays_connected(gate: Schedule) -> None:
    model = MultiTaskModel(shared({"main": "pooled"}), {"main": nn.Identity()}, {"main": gate})
    feature = torch.tensor([1e-8, 0.1, 3.0, -1e8], requires_grad=True)
    gated = model.gated("main", feature)
    assert torch.equal(gated, feature)
    assert gated.requires_grad == (gate != Constant(0.0))


def test_only_the_outputs_that_are_asked_for_are_computed() -> None:
    sharing = shared({"main": "pooled", "help": "sequence"})
    model = MultiTaskModel(
        sharing,
        {"main": nn.Linear(10, 2), "help": nn.Linear(3, 1)},  # a head that would fail
        {"main": Constant(1.0), "help": Constant(1.0)},
    )
    assert list(model({"mel": torch.zeros(2, 6, 4)}, ["main"])) == ["main"]


def test_a_feature_that_the_trunk_lacks_is_one_sentence() -> None:
    with pytest.raises(
        UserError,
        match=r"'face' reads the feature 'map', which the trunk lacks; it has sequence, pooled, and the outputs of its",
    ):
        shared({"face": "map"})
    with pytest.raises(UserError, match="no sharing 'hrad': did you mean 'hard'"):
        sharings.build("hrad", {})
