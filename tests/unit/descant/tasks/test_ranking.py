"""The area under the ROC curve from bins against the exact one: never further away than the bound that it states."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.tasks import ranking
from metric_sums import details_of, sums_of, value_of


def exact_area(scores: np.ndarray, yes: np.ndarray) -> float:
    """How likely a yes has a higher score than a no, ties counting half: over all pairs."""
    difference = scores[yes][:, None] - scores[~yes][None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 300), st.integers(0, 10**6), st.sampled_from([0.05, 1.0, 8.0]), st.floats(0.02, 0.9))
def test_an_area_is_within_its_bound(size: int, seed: int, spread: float, share: float) -> None:
    rng = np.random.default_rng(seed)
    yes = rng.random(size) < share
    yes[:2] = [False, True]
    scores = 1 / (1 + np.exp(-spread * (rng.normal(size=size) + yes)))
    target = torch.from_numpy(yes.astype(np.float32))[:, None]
    metric = ranking.attribute_auc(("a",))
    sums = sums_of(metric, torch.from_numpy(scores).float()[:, None], target, (size // 2,))
    (area,), (bound,) = ranking.area_and_bound(sums)
    assert metric.value(sums) == area
    assert abs(area - exact_area(scores.astype(np.float32), yes)) <= bound + 1e-12


def test_a_model_that_knows_something_is_measured_to_a_thousandth() -> None:
    rng = np.random.default_rng(0)
    yes = rng.random(2000) < 0.05
    scores = 1 / (1 + np.exp(3 - rng.normal(0, 2, 2000) - 3 * yes))
    found = value_of(ranking.attribute_auc(("a",)), torch.tensor(scores)[:, None], torch.tensor(yes)[:, None].double())
    assert found == pytest.approx(exact_area(scores, yes), abs=1e-3)


def test_by_hand_with_what_is_unknown_and_what_has_one_answer_alone() -> None:
    probability = torch.tensor([[0.1, 0.5], [0.4, 0.5], [0.35, 0.5], [0.8, 0.5], [0.99, 0.2]])
    target = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0], [math.nan, 1.0]])
    metric = ranking.attribute_auc(("mixed", "always"))
    found = details_of(metric, probability, target)
    assert found == pytest.approx({"mixed": 0.75, "always": math.nan}, nan_ok=True)
    assert value_of(metric, probability, target) == 0.75
    constant = ranking.attribute_auc(("a",))
    assert value_of(constant, torch.full((4, 1), 0.3), torch.tensor([[0.0], [1.0], [0.0], [0.0]])) == 0.5


def test_classes_against_the_rest() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(3, (200,), generator=generator)
    logits = torch.randn(200, 3, generator=generator) + torch.nn.functional.one_hot(target, 3)
    probability = logits.softmax(1)
    metric = ranking.class_auc(("a", "b", "c", "never"))
    wider = torch.cat([probability, torch.zeros(200, 1)], dim=1)
    found = details_of(metric, wider, target)
    exact = [exact_area(probability[:, place].numpy(), (target == place).numpy()) for place in range(3)]
    assert list(found.values()) == pytest.approx([*exact, math.nan], abs=2e-3, nan_ok=True)
    assert value_of(metric, wider, target) == pytest.approx(np.mean(exact), abs=2e-3)


def test_probabilities_of_0_and_1_have_places_too() -> None:
    probability = torch.tensor([[0.0], [1.0], [math.nan]])
    assert value_of(ranking.attribute_auc(("a",)), probability[:2], torch.tensor([[0.0], [1.0]])) == 1.0
    assert ranking.histograms(probability, torch.zeros(3, 1)).sum() == 3
