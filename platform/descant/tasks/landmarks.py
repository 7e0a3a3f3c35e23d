"""Points in an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from descant.errors import UserError
from descant.inputs.base import View, image_view
from descant.lazy import torch
from descant.tasks import landmark_metrics, losses
from descant.tasks.faces import check_places, check_sides_of_eyes
from descant.tasks.headed import HeadedTask
from descant.tasks.labels import BadLabel, can_teach


class Landmarks(HeadedTask):
    """P points (x, y), learnt in units of the image's longer side (0 to 1).

    Heads give coordinates, or find them on heatmaps of the points (``head: heatmap``).
    ``point_names`` name the points, for errors of each; unless there are as many, points have numbers.
    ``eyes`` are the indices of the two points whose distance normalises the error (Zhang et al., ECCV 2014).
    ``left_eye_first`` says that they are a face's eyes, first the one that images show on the left: a label with
    swapped ones is refused. ``flip_pairs`` are the pairs of points that take each other's place in a mirrored image,
    such as left and right eye; () where none do.
    """

    point_names: Sequence[str] = ()
    eyes: tuple[int, int] = (0, 1)
    left_eye_first: bool = False
    flip_pairs: Sequence[tuple[int, int]] | None = None
    default_weight: ClassVar[float] = 0.2
    label_kinds = ("points",)
    losses = {"half_squared_error": losses.half_squared_error, "l1": losses.l1, "smooth_l1": losses.smooth_l1}
    metric_makers = {
        "mean_error": lambda task: landmark_metrics.mean_error(task.distances, task.names),
        "failure_rate": lambda task: landmark_metrics.failure_rate(task.distances),
        "error_curve_area": lambda task: landmark_metrics.error_curve_area(task.distances),
        "excluded": lambda task: landmark_metrics.excluded(task.distances),
    }

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        if not self.field.shape:
            raise UserError(f"the data set does not say how many points {self.label!r} has: give its field a shape")
        self.points = self.field.shape[0]
        named = len(self.point_names) == self.points
        self.names = tuple(self.point_names if named else map(str, range(self.points)))
        if max(self.eyes) >= self.points:
            raise UserError(
                f"the task {self.name!r} takes the points {list(self.eyes)} as eyes, but {self.label!r} has "
                f"{self.points} points: set 'eyes' to two indices from 0 to {self.points - 1}"
            )

    @property
    def output_shape(self) -> tuple[int, ...]:
        """P points (x, y)."""
        return (self.points, 2)

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the chosen loss of each face over its 2P coordinates, (B,)."""
        return super().loss(output.flatten(1), target.flatten(1))

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return the points, (B, P, 2), in units of the image's longer side."""
        return output.float().reshape(-1, self.points, 2)

    def distances(
        self, prediction_BPX: Float[torch.Tensor, "B P 2"], target_BPX: Float[torch.Tensor, "B P 2"]
    ) -> Float[torch.Tensor, "B P"]:
        """Return each point's distance over the inter-ocular distance of its face; NaN where the eyes coincide.

        A prediction that is no number is infinitely far away.
        """
        distance_BP = (prediction_BPX - target_BPX).double().norm(dim=2).nan_to_num(torch.inf, torch.inf)
        eyes_B1 = (target_BPX[:, self.eyes[0]] - target_BPX[:, self.eyes[1]]).double().norm(dim=1, keepdim=True)
        return torch.where(eyes_B1 > 0, distance_BP / eyes_B1, torch.nan)

    def answer(self, prediction: np.ndarray, view: View | None) -> dict[str, Any]:
        """Return the points in pixels of the given image."""
        points = view.to_pixels(prediction) if view is not None else prediction
        return {"points": [[round(float(x), 3), round(float(y), 3)] for x, y in points]}

    def meaning(self) -> dict[str, Any]:
        """Return the points' names and their unit."""
        unit = "the longer side of the picture as it was before it was resized; times that side in pixels: pixels"
        return {"kind": "points", "points": list(self.names), "layout": "batch, points, (x, y)", "unit": unit}

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
        self.check_label(points, None if view is None else view.extent)
        moved = view.from_pixels(points) if view is not None else points
        if view is not None and view.mirrored:
            moved = moved[self._mirrored_order()]
        return moved.astype(np.float32)

    def check_label(self, points_PX: np.ndarray, extent: tuple[int, int] | None) -> None:
        """Raise a BadLabel for points in pixels of a stored image of (width, height) that cannot be right.

        Points may lie outside by half the image, since crops cut faces; where ``extent`` is None that is not asked.
        """
        check_places(f"{self.label} is {points_PX.tolist()}", points_PX, extent)
        if self.left_eye_first:
            check_sides_of_eyes(f"{self.label} is {points_PX.tolist()}", points_PX, self.eyes)

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
