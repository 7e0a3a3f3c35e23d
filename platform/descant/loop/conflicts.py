"""What a step's Gramian tells of the tasks: how large their gradients are, and where they point against each other.

Shapes: P tasks that the step teaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from descant.balance import Signals

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
        picture: of the cosines, (height, width, 3) uint8: a cell for each two tasks in the recipe's order, blue where
            they pull together, red where they pull apart.
    """

    norms: dict[str, float]
    cosines: dict[tuple[str, str], float]
    conflict_share: float
    magnitude_similarity: float
    picture: np.ndarray


def conflicts(signals: Signals, tasks: tuple[str, ...]) -> Conflicts | None:
    """Return what the Gramian of a step tells; None without one, or of one task alone.

    Args:
        signals: of the step.
        tasks: the names of all.
    """
    if signals.gramian_PP is None or len(signals.places_P) < 2:
        return None
    names = [tasks[place] for place in signals.places_P.tolist()]
    squares_P = signals.gramian_PP.diag().clamp(min=0.0)
    products_PP = torch.outer(squares_P.sqrt(), squares_P.sqrt())
    cosines_PP = torch.where(products_PP > 0, signals.gramian_PP / products_PP, 0.0).clamp(-1.0, 1.0)
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
        picture=_picture(cosines_PP.numpy()),
    )


def _picture(cosines_PP: np.ndarray) -> np.ndarray:
    """Return the cosines as colours: white is 0, full blue 1, full red −1."""
    pale = 1.0 - np.abs(cosines_PP)
    red, blue = np.where(cosines_PP < 0, 1.0, pale), np.where(cosines_PP < 0, pale, 1.0)
    pixels = (255.0 * np.stack([red, pale, blue], 2)).round().astype(np.uint8)
    picture: np.ndarray = pixels.repeat(_CELL, 0).repeat(_CELL, 1)
    return picture
