"""Normalisation over ranks is torch's own over the whole batch: values, gradients, running statistics."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from batch_norm_case import KINDS, one_pass
from descant.loop.batch_norm import GlobalBatchNorm, globalise
from descant.loop.ranks import Ranks
from descant.trunks import build_trunk


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_several_ranks_are_one(on_ranks: dict[int, list[dict[str, Any]]], kind: str, world_size: int) -> None:
    alone = one_pass(0, 1, kind)
    ranks = [rank["norms"][kind] for rank in on_ranks[world_size]]
    for name in ("output", "x", "eval"):
        joined = torch.cat([rank[name] for rank in ranks])
        torch.testing.assert_close(joined, alone[name], rtol=2e-4, atol=2e-5 if name != "x" else 2e-4)
    for name, expected in alone["parameters"].items():
        torch.testing.assert_close(sum(rank["parameters"][name] for rank in ranks), expected, rtol=1e-3, atol=1e-3)
    for rank in ranks:
        assert list(rank["state"]) == list(alone["state"]), "a checkpoint does not depend on the number of ranks"
        for name, expected in alone["state"].items():
            torch.testing.assert_close(rank["state"][name], expected, rtol=1e-5, atol=1e-5)
            assert torch.equal(rank["state"][name], ranks[0]["state"][name])


def test_every_layer_is_replaced_and_keeps_its_names_and_activation() -> None:
    import timm

    model = timm.create_model("resnet10t", num_classes=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(2, 3, 32, 32)
    expected = model.eval()(x)
    norms = globalise(model, Ranks())
    assert len(norms) == sum(isinstance(module, GlobalBatchNorm) for module in model.modules()) > 5
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    assert list(model.state_dict()) == list(before)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x), expected.detach(), rtol=1e-4, atol=1e-4)
    acting = nn.Sequential(timm.layers.BatchNormAct2d(3))
    x, expected = torch.randn(2, 3, 4, 4), acting.eval()(torch.zeros(1, 3, 1, 1))
    assert expected.min() >= 0
    values = acting(x).detach()
    globalise(acting, Ranks())
    torch.testing.assert_close(acting.eval()(x).detach(), values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_one_rank_leaves_unreadable_rows_out_as_several_do(momentum: float | None) -> None:
    rows = torch.randn(6, 3, 4, 4)
    expected = nn.BatchNorm2d(3, momentum=momentum)
    with_rest = nn.Sequential(nn.BatchNorm2d(3, momentum=momentum))
    (norm,) = globalise(with_rest, Ranks())
    for _ in range(2):
        norm.valid_B = torch.tensor([True] * 6 + [False] * 2)
        found = with_rest(torch.cat([rows, torch.full((2, 3, 4, 4), 1e4)]))[:6]
        torch.testing.assert_close(found, expected(rows), rtol=1e-4, atol=1e-4)
        norm.valid_B = None
        assert torch.equal(with_rest(rows), expected(rows)), "without such rows it is torch's own kernel"
    torch.testing.assert_close(norm.running_var, expected.running_var)


def test_a_batch_without_a_readable_row_changes_no_statistics() -> None:
    layers = nn.Sequential(nn.BatchNorm2d(3))
    (norm,) = globalise(layers, Ranks())
    layers(torch.randn(6, 3, 4, 4) + 5)
    before = {name: value.clone() for name, value in layers.state_dict().items()}
    norm.valid_B = torch.zeros(6, dtype=torch.bool)
    output = layers(torch.zeros(6, 3, 4, 4))
    assert output.isfinite().all()
    for name, value in layers.state_dict().items():
        assert torch.equal(value, before[name])


def test_positions_folded_into_rows_count_with_their_sample() -> None:
    tokens = torch.randn(4, 5, 3)
    folded, plain = nn.Sequential(nn.BatchNorm1d(3)), nn.BatchNorm1d(3)
    (norm,) = globalise(folded, Ranks())
    norm.valid_B = torch.tensor([True, False, True, True])
    found = folded(tokens.flatten(0, 1)).unflatten(0, (4, 5))
    expected = plain(tokens[norm.valid_B].flatten(0, 1)).unflatten(0, (3, 5))
    torch.testing.assert_close(found[norm.valid_B], expected, rtol=1e-4, atol=1e-5)
    norm.valid_B = torch.tensor([True, False, True])
    with pytest.raises(ValueError, match="20 rows of 3 samples"):
        folded(tokens.flatten(0, 1))


def test_evaluation_is_torchs_own_kernel_whatever_the_last_batch_was() -> None:
    layers = nn.Sequential(nn.BatchNorm2d(3))
    (norm,) = globalise(layers, Ranks())
    expected = nn.BatchNorm2d(3).eval()
    norm.valid_B = torch.tensor([True, False])
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(layers.eval()(x), expected(x))


def test_a_layer_that_its_trunk_has_frozen_stays_so_and_bf16_stays_bf16() -> None:
    layers = nn.Sequential(nn.BatchNorm2d(3).eval(), nn.BatchNorm2d(3))
    frozen, trained = globalise(layers, Ranks())
    assert (frozen.training, trained.training) == (False, True)
    trained.valid_B = torch.tensor([True, False])
    assert trained(torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_a_layer_whose_output_is_a_feature_stays_one() -> None:
    inputs = {"image": (3, 32, 32)}
    trunk = build_trunk("resnet10t", {}, inputs)
    trunk.tap({"early": "model.bn1"}, inputs)
    batch = {"image": torch.randn(4, 3, 32, 32)}
    before = trunk(batch)["model.bn1"]
    globalise(trunk, Ranks())
    torch.testing.assert_close(trunk(batch)["model.bn1"], before)
