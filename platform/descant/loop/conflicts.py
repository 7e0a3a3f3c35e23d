"""What a step's Gramian tells of the tasks: how large their gradients are, and where they point against each other.

Shapes: P tasks that the step teaches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

MOST_PAIRS = 28
"""Pairs of tasks, of 8 tasks, up to which each pair has a row of its own."""
_CELL = 24  # pixels


@dataclass(frozen=True)
class Conflicts:
    """Of the tasks of one step.

    Attributes:
        norms: of each task's gradient, by name.
        cosines: of each pair's gradients, by both names; a gradient of 0 has the cosine 0 with all.
        conflict_share: the share of pairs whose cosine is negative.
        magnitude_similarity: the mean over pairs of 2‖g‖‖h‖/(‖g‖² + ‖h‖²) (Yu et al. 2020): 1 if all are as large.
        matrix: the cosines, (P, P).
    """

    norms: dict[str, float]
    cosines: dict[tuple[str, str], float]
    conflict_share: float
    magnitude_similarity: float
    matrix: Tensor

    def rows(self) -> Iterator[tuple[str | None, str, float]]:
        """Yield (task, metric, value) for the log; of many tasks not each pair."""
        yield from ((name, "feature_gradient_norm", norm) for name, norm in self.norms.items())
        if len(self.cosines) <= MOST_PAIRS:
            yield from ((one, f"cosine with {other}", value) for (one, other), value in self.cosines.items())
        yield None, "conflict_share", self.conflict_share
        yield None, "magnitude_similarity", self.magnitude_similarity


def conflicts(gramian_PP: Tensor, names: Sequence[str]) -> Conflicts | None:
    """Return what the Gramian of a step tells of the tasks; None of one alone."""
    if len(names) < 2:
        return None
    squares_P = gramian_PP.diag().clamp(min=0.0)
    products_PP = torch.outer(squares_P.sqrt(), squares_P.sqrt())
    cosines_PP = torch.where(products_PP > 0, gramian_PP / products_PP, 0.0).clamp(-1.0, 1.0)
    sums_PP = squares_P[:, None] + squares_P
    alike_PP = torch.where(sums_PP > 0, 2 * products_PP / sums_PP, 1.0)
    above = torch.ones_like(cosines_PP, dtype=torch.bool).triu(1)
    return Conflicts(
        norms=dict(zip(names, squares_P.sqrt().tolist(), strict=True)),
        cosines={
            (one, other): float(cosines_PP[row, column])
            for (row, one), (column, other) in combinations(enumerate(names), 2)
        },
        conflict_share=float((cosines_PP[above] < 0).double().mean()),
        magnitude_similarity=float(alike_PP[above].mean()),
        matrix=cosines_PP,
    )


def picture(cosines_PP: Tensor) -> np.ndarray:
    """Return cosines as colours, (height, width, 3) uint8: a cell for each two tasks in the recipe's order.

    White is 0, full blue 1, where they pull together, and full red −1, where they pull apart.
    """
    values_PP = cosines_PP.numpy()
    pale = 1.0 - np.abs(values_PP)
    red, blue = np.where(values_PP < 0, 1.0, pale), np.where(values_PP < 0, pale, 1.0)
    pixels = (255.0 * np.stack([red, pale, blue], 2)).round().astype(np.uint8)
    large: np.ndarray = pixels.repeat(_CELL, 0).repeat(_CELL, 1)
    return large
