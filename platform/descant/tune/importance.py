"""Which keys made trials good or bad.

For each key alone: the share of the variance of the trials' *ranks* that it explains, adjusted for chance (the adjusted
R²; of groups it is Kelley's ε²). A number explains by a parabola in its own rank, so that a best value in the middle
counts as well as "more is better"; a choice explains by its groups' means. Ranks, since a few diverged trials would
otherwise be all that is seen, and since neither the metric's scale nor the logarithm of a weight then matters. The
adjustment, since a study has some tens of trials, of which a flexible model (fANOVA's forest) explains much by chance:
a key without influence has 0 on average. What keys do only together is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from descant.tune.space import Choice, Space

FEWEST = 6
"""Trials below which nothing is said."""


def importance(space: Space, params: Sequence[Mapping[str, Any]], scores: Sequence[float]) -> dict[str, float]:
    """Return each key's share, from 0 to 1, the greatest first; nothing where there are too few trials.

    Args:
        space: whose keys are judged.
        params: each trial's values.
        scores: how good each trial is; -inf for no number.
    """
    if len(scores) < FEWEST or len(set(scores)) == 1:
        return {}
    ranks = rankdata(scores)
    shares = {each.key: _share(each, [given[each.key] for given in params], ranks) for each in space.dimensions}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _share(dimension: Any, values: Sequence[Any], ranks: np.ndarray) -> float:
    if isinstance(dimension, Choice):
        groups = np.array([dimension.index(value) for value in values])
        columns = [(groups == group).astype(float) for group in np.unique(groups)]
    else:
        own = rankdata([float(value) for value in values])
        own = own / len(own)
        columns = [np.ones(len(own)), own, own**2]
    design = np.stack(columns, axis=1)
    freedom = len(ranks) - int(np.linalg.matrix_rank(design))
    if freedom <= 0:
        return 0.0
    fitted = design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    unexplained = float(((ranks - fitted) ** 2).sum()) / freedom
    total = float(((ranks - ranks.mean()) ** 2).sum()) / (len(ranks) - 1)
    return max(0.0, 1.0 - unexplained / total)
