"""Where an image's pixels went: affine maps of the plane.

Shapes: P points, X = 2 coordinates (x, y).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Pair = tuple[float, float]


@dataclass(frozen=True)
class Geometry:
    """An affine map: new = matrix · old + shift, of points (x, y).

    Attributes:
        matrix: its two rows; their determinant is not 0.
        shift: what is added.
    """

    matrix: tuple[Pair, Pair] = ((1.0, 0.0), (0.0, 1.0))
    shift: Pair = (0.0, 0.0)

    @classmethod
    def scaling(cls, factor: float) -> Geometry:
        """Return the map that multiplies both coordinates by ``factor``."""
        return cls(((factor, 0.0), (0.0, factor)))

    @property
    def mirrored(self) -> bool:
        """Whether left and right are exchanged, however the plane is turned besides."""
        (a, b), (c, d) = self.matrix
        return a * d - b * c < 0.0

    def then(self, after: Geometry) -> Geometry:
        """Return this map followed by ``after``."""
        (a, b), (c, d) = self.matrix
        (e, f), (g, h) = after.matrix
        x, y = self.shift
        matrix = ((e * a + f * c, e * b + f * d), (g * a + h * c, g * b + h * d))
        return Geometry(matrix, (e * x + f * y + after.shift[0], g * x + h * y + after.shift[1]))

    def inverse(self) -> Geometry:
        """Return the map that takes all points back."""
        (a, b), (c, d) = self.matrix
        determinant = a * d - b * c
        assert determinant != 0.0, "the map has no inverse"
        turned = Geometry(((d / determinant, -b / determinant), (-c / determinant, a / determinant)))
        return Geometry(shift=(-self.shift[0], -self.shift[1])).then(turned)

    def apply(self, points_PX: np.ndarray) -> np.ndarray:
        """Return where points (P, 2) go."""
        (a, b), (c, d) = self.matrix
        x_P, y_P = points_PX[:, 0], points_PX[:, 1]
        return np.stack([a * x_P + b * y_P + self.shift[0], c * x_P + d * y_P + self.shift[1]], axis=1)
