"""The area under the receiver operating characteristic, from histograms of scores.

That area is no sum over samples; histograms are. The score is a probability; its logit is put into one of 100 bins of
0.2 between -10 and 10, the first and the last of which take all that lies beyond. The value is exact for scores rounded
so: two samples, one of each kind, count as a tie where they share a bin. So it is at most half the share of such pairs
away from the area of the scores themselves, see ``area_and_bound``.
Shapes: B samples, A questions, each answered yes or no, N bins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from descant.lazy import torch
from descant.tasks.metrics import Metric, divided, mean_of_defined, named

BINS = 100
_WIDTH = 0.2


def attribute_auc(names: Sequence[str]) -> Metric:
    """Return the mean area over the attributes that have samples of both kinds; details: each attribute's.

    Predictions (B, A) are probabilities; targets are 0, 1 or NaN for unknown.
    """
    return _metric(names, lambda probability_BA, target_BA: histograms(probability_BA, target_BA))


def class_auc(names: Sequence[str]) -> Metric:
    """Return the mean area of each class against the rest, over the classes that have samples; details: each class's.

    Of two classes both areas are the same.
    """

    def statistics(probability_BC: Float[torch.Tensor, "B C"], target_B: Int[torch.Tensor, B]) -> torch.Tensor:
        return histograms(probability_BC, torch.nn.functional.one_hot(target_B, len(names)).float())

    return _metric(names, statistics)


def histograms(
    probability_BA: Float[torch.Tensor, "B A"], target_BA: Float[torch.Tensor, "B A"]
) -> Float[torch.Tensor, "B S"]:
    """Return into which bin each sample falls, (B, A · 2 · N), first those whose answer is no; none if unknown."""
    probability_BA = probability_BA.nan_to_num(0.5)
    bin_BA = (torch.logit(probability_BA.double(), eps=1e-9) / _WIDTH + BINS / 2).floor().clamp(0, BINS - 1).long()
    known_BA = ~target_BA.isnan()
    place_BA = (target_BA.nan_to_num() >= 0.5).long() * BINS + bin_BA
    counts_BAN = torch.zeros(*place_BA.shape, 2 * BINS, device=place_BA.device)
    counts_BAN.scatter_(2, place_BA[..., None], known_BA[..., None].float())
    return counts_BAN.flatten(1)


def area_and_bound(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each question's area, (A,), and how far it may be from that of scores that are not put into bins.

    Both are NaN where there are no samples of both kinds.
    """
    no_AN, yes_AN = sums.reshape(-1, 2, BINS).transpose(1, 0, 2)
    below_AN = no_AN.cumsum(1) - no_AN
    pairs_A = no_AN.sum(1) * yes_AN.sum(1)
    ties_A = (yes_AN * no_AN).sum(1) / 2
    return divided((yes_AN * below_AN).sum(1) + ties_A, pairs_A), divided(ties_A, pairs_A)


def _metric(names: Sequence[str], statistics: Callable[[Any, Any], torch.Tensor]) -> Metric:
    return Metric(
        statistics,
        lambda sums: mean_of_defined(area_and_bound(sums)[0]),
        chance=0.5,
        details=lambda sums: named(names, area_and_bound(sums)[0]),
    )
