"""Points in an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from descant.errors import UserError
from descant.inputs.base import View, image_view
from descant.lazy import torch
from descant.tasks import losses, metrics
from descant.tasks.base import BadLabel, Task, can_teach


class Landmarks(Task):
    """P points (x, y), learnt in units of the image's longer side (0 to 1), so 2P outputs.

    ``eyes`` are the indices of the two points whose distance normalises the error (Zhang et al., ECCV 2014).
    ``flip_pairs`` are the pairs of points that take each other's place in a mirrored image, such as left and right eye;
    () where none do.
    """

    eyes: tuple[int, int] = (0, 1)
    flip_pairs: Sequence[tuple[int, int]] | None = None
    default_weight: ClassVar[float] = 0.2
    label_kinds = ("points",)
    losses = {"half_squared_error": losses.half_squared_error, "l1": losses.l1, "smooth_l1": losses.smooth_l1}
    metric_makers = {
        "mean_error": lambda task: metrics.mean_error(task.error),
        "failure_rate": lambda task: metrics.failure_rate(task.error),
    }

    def __init__(self, *args: Any, hidden: Sequence[int] = (), dropout: float = 0.0, **given: Any) -> None:
        super().__init__(*args, **given)
        self._hidden, self._dropout = tuple(hidden), dropout
        if not self.field.shape:
            raise UserError(f"the data set does not say how many points {self.label!r} has: give its field a shape")
        self.points = self.field.shape[0]
        if max(self.eyes) >= self.points:
            raise UserError(
                f"the task {self.name!r} takes the points {list(self.eyes)} as eyes, but {self.label!r} has "
                f"{self.points} points: set 'eyes' to two indices from 0 to {self.points - 1}"
            )

    def head(self, feature: tuple[int, ...]) -> torch.nn.Module:
        """Return a linear or multi-layer head with 2P outputs."""
        from descant.heads import mlp

        return mlp(feature, 2 * self.points, self._hidden, self._dropout)

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the chosen loss of each face over its 2P coordinates, (B,)."""
        return super().loss(output, target.flatten(1))

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return the points, (B, P, 2), in units of the image's longer side."""
        return output.float().reshape(-1, self.points, 2)

    def error(
        self, prediction_BPX: Float[torch.Tensor, "B P 2"], target_BPX: Float[torch.Tensor, "B P 2"]
    ) -> Float[torch.Tensor, B]:
        """Return each face's mean distance over the inter-ocular distance; NaN where the eyes coincide."""
        distance_B = (prediction_BPX - target_BPX).double().norm(dim=2).mean(1)
        eyes_B = (target_BPX[:, self.eyes[0]] - target_BPX[:, self.eyes[1]]).double().norm(dim=1)
        return torch.where(eyes_B > 0, distance_B / eyes_B, torch.nan)

    def answer(self, prediction: np.ndarray, view: View | None) -> dict[str, Any]:
        """Return the points in pixels of the given image."""
        points = view.to_pixels(prediction) if view is not None else prediction
        return {"points": [[round(float(x), 3), round(float(y), 3)] for x, y in points]}

    def blank(self) -> np.ndarray:
        """Return the points of a made-up face whose eyes do not coincide."""
        return np.tile(np.linspace(0.0, 1.0, self.points, dtype=np.float32)[:, None], (1, 2))

    def target(self, label: Any, views: Mapping[str, View]) -> np.ndarray:
        """Return the points, (P, 2), moved along with what happened to the image."""
        allowed = f"{self.label} is {label!r}: allowed are {self.points} pairs [x, y] of finite pixels up to 1e15"
        try:
            points = np.asarray(label, np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadLabel(allowed) from error
        if points.shape != (self.points, 2) or not can_teach(points):
            raise BadLabel(allowed)
        view = image_view(views)
        moved = view.from_pixels(points) if view is not None else points
        if view is not None and view.mirrored:
            moved = moved[self._mirrored_order()]
        return moved.astype(np.float32)

    def check_mirrored(self) -> None:
        """Raise a UserError when the class does not say which points are exchanged, or names others than there are."""
        if self.flip_pairs is None and self.points > 1:
            raise UserError(
                f"the task {self.name!r} does not say which of its {self.points} points are exchanged in a mirrored "
                f"image: give its class 'flip_pairs', such as ((0, 1),), or () for none, or take 'flip' out of the "
                f"augmentation"
            )
        paired = [point for pair in self.flip_pairs or () for point in pair]
        if len(set(paired)) < len(paired) or not set(paired) <= set(range(self.points)):
            raise UserError(
                f"the task {self.name!r} has flip_pairs={self.flip_pairs}: give pairs of two of its points, 0 to "
                f"{self.points - 1}, each point once at most"
            )

    def _mirrored_order(self) -> list[int]:
        """Return which point comes to each place in a mirrored image."""
        partner = {point: other for pair in self.flip_pairs or () for point, other in (pair, pair[::-1])}
        return [partner.get(point, point) for point in range(self.points)]
