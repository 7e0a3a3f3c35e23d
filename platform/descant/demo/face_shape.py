"""The shape of one demo face: its attributes, its traits and where its points fall in the image.

Head coordinates: x to the right of the image, y down, z towards the viewer; 1 is half the height of the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
_YAW_DEGREES = {1: (-48.0, 5.0), 2: (-29.0, 5.0), 3: (0.0, 6.0), 4: (29.0, 5.0), 5: (48.0, 5.0)}  # mean, deviation


@dataclass(frozen=True)
class Attributes:
    """MTFL's codes: gender 1 m 2 f; smile, glasses 1 yes 2 no; pose 1 left profile .. 3 frontal .. 5 right profile."""

    gender: int
    smile: int
    glasses: int
    pose: int


@dataclass(frozen=True)
class FaceShape:
    """One head in an image of ``side`` x ``side`` pixels; lengths in head units, ``scale`` in pixels per unit."""

    side: int
    scale: float
    centre_xy: tuple[float, float]
    yaw: float
    pitch: float
    roll: float
    feminine: float  # about -1 for men, 1 for women, with overlap
    smiling: float  # about 0 without and 1 with a smile
    eye_x: float
    eye_y: float
    nose_y: float
    mouth_y: float
    mouth_x: float

    def project(self, points_P3: Points) -> Points:
        """Return the image coordinates (P, 2) in pixels of head points (P, 3)."""
        x, y, z = points_P3.T
        turned_x = x * np.cos(self.yaw) + z * np.sin(self.yaw)
        tipped_y = y * np.cos(self.pitch) + z * np.sin(self.pitch)
        image_x = turned_x * np.cos(self.roll) - tipped_y * np.sin(self.roll)
        image_y = turned_x * np.sin(self.roll) + tipped_y * np.cos(self.roll)
        return np.asarray(np.stack([image_x, image_y], axis=1) * self.scale + np.array(self.centre_xy), np.float64)

    @property
    def corner_y(self) -> float:
        """Height of the mouth's corners: a smile lifts them."""
        return self.mouth_y - 0.09 * self.smiling

    def landmarks(self) -> Points:
        """Left eye, right eye, nose, left and right corner of the mouth: (5, 2) in pixels, left is the image's."""
        return self.project(
            np.array(
                [
                    (-self.eye_x, self.eye_y, 0.72),
                    (self.eye_x, self.eye_y, 0.72),
                    (0.0, self.nose_y, 1.04),
                    (-self.mouth_x, self.corner_y, 0.72),
                    (self.mouth_x, self.corner_y, 0.72),
                ]
            )
        )


def draw_shape(attributes: Attributes, rng: np.random.Generator) -> FaceShape:
    """Draw a face with these attributes: mouth, yaw and proportions follow them with some scatter."""
    side = int(rng.integers(120, 191))
    yaw_mean, yaw_deviation = _YAW_DEGREES[attributes.pose]
    yaw_degrees = np.clip(rng.normal(yaw_mean, yaw_deviation), yaw_mean - 9, yaw_mean + 9)
    feminine = rng.normal(1.0 if attributes.gender == 2 else -1.0, 0.6)
    smiling = float(np.clip(rng.normal(0.9, 0.25) if attributes.smile == 1 else rng.normal(0.05, 0.15), -0.3, 1.4))
    middle_x, middle_y = side * (0.5 + rng.uniform(-0.05, 0.05, 2))
    return FaceShape(
        side=side,
        scale=side * rng.uniform(0.30, 0.37),
        # a turned head is centred on its face, not on its axis
        centre_xy=(middle_x - 0.08 * side * np.sin(np.radians(yaw_degrees)), middle_y),
        yaw=float(np.radians(yaw_degrees)),
        pitch=float(np.radians(np.clip(rng.normal(0, 5), -12, 12))),
        roll=float(np.radians(np.clip(rng.normal(0.06 * yaw_degrees, 6), -18, 18))),
        feminine=feminine,
        smiling=smiling,
        eye_x=rng.normal(0.35, 0.015),
        eye_y=rng.normal(-0.17, 0.02),
        nose_y=rng.normal(0.17, 0.025) - 0.01 * feminine,
        mouth_y=rng.normal(0.52, 0.02) - 0.01 * feminine,
        mouth_x=float(np.clip(rng.normal(0.27, 0.015) + 0.05 * smiling - 0.008 * feminine, 0.2, 0.4)),
    )
