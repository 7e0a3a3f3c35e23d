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

from descant.balance.base import Level

MOST_PAIRS = 28
"""Pairs of tasks, of 8 tasks, up to which each pair has a row of its own."""
_CELL, _GAP = 40, 6  # pixels
_MOST_NUMBERS = 12  # tasks up to which cells hold numbers
_DARK = 0.6  # from which blue needs white figures


@dataclass(frozen=True)
class Conflicts:
    """Of the tasks of one step.

    Attributes:
        level: where their gradients were looked at.
        norms: of each task's gradient, by name.
        cosines: of each pair's gradients, by both names; a gradient of 0 has the cosine 0 with all.
        conflict_share: the share of pairs whose cosine is negative.
        magnitude_similarity: the mean over pairs of 2‖g‖‖h‖/(‖g‖² + ‖h‖²) (Yu et al. 2020): 1 if all are as large.
        matrix: the cosines, (P, P), in the order of ``norms``.
    """

    level: Level
    norms: dict[str, float]
    cosines: dict[tuple[str, str], float]
    conflict_share: float
    magnitude_similarity: float
    matrix: Tensor

    def rows(self) -> Iterator[tuple[str | None, str, float]]:
        """Yield (task, metric, value) for the log; of many tasks not each pair."""
        of = "feature" if self.level == "representation" else "parameter"
        yield from ((name, f"{of}_gradient_norm", norm) for name, norm in self.norms.items())
        if len(self.cosines) <= MOST_PAIRS:
            yield from ((one, f"cosine with {other}", value) for (one, other), value in self.cosines.items())
        yield None, "conflict_share", self.conflict_share
        yield None, "magnitude_similarity", self.magnitude_similarity


def conflicts(gramian_PP: Tensor, names: Sequence[str], level: Level = "representation") -> Conflicts | None:
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
        level=level,
        norms=dict(zip(names, squares_P.sqrt().tolist(), strict=True)),
        cosines={
            (one, other): float(cosines_PP[row, column])
            for (row, one), (column, other) in combinations(enumerate(names), 2)
        },
        conflict_share=float((cosines_PP[above] < 0).double().mean()),
        magnitude_similarity=float(alike_PP[above].mean()),
        matrix=cosines_PP,
    )


def picture(cosines_PP: Tensor, names: Sequence[str]) -> np.ndarray:
    """Return cosines as colours, (height, width, 3) uint8: a row for each task, with its name and number.

    White is 0, full blue 1, where two tasks pull together, and full red −1, where they pull apart. Of few tasks the
    cells hold the cosines.
    """
    from PIL import Image, ImageDraw, ImageFont

    values_PP, size = cosines_PP.numpy(), len(names)
    has_numbers = size <= _MOST_NUMBERS
    cell, font = (_CELL, ImageFont.load_default(12)) if has_numbers else (_CELL // 2, ImageFont.load_default(9))
    labels = [f"{name} {number}" for number, name in enumerate(names, 1)]
    left = 2 * _GAP + int(max(font.getlength(label) for label in labels))
    image = Image.new("RGB", (left + size * cell + _GAP, (size + 1) * cell), "white")
    draw = ImageDraw.Draw(image)
    for row in range(size):
        middle = (row + 1.5) * cell
        draw.text((left - _GAP, middle), labels[row], "black", font, anchor="rm")
        draw.text((left + (row + 0.5) * cell, cell / 2), str(row + 1), "black", font, anchor="mm")
        for column in range(size):
            value, x = float(values_PP[row, column]), left + column * cell
            draw.rectangle((x, middle - cell / 2, x + cell, middle + cell / 2), _colour(value), outline="lightgrey")
            if has_numbers:
                ink = "white" if value > _DARK else "black"
                draw.text((x + cell / 2, middle), f"{value:.2f}", ink, font, anchor="mm")
    return np.asarray(image)


def _colour(cosine: float) -> tuple[int, int, int]:
    pale = round(255 * (1.0 - abs(cosine)))
    return (255, pale, pale) if cosine < 0 else (pale, pale, 255)
