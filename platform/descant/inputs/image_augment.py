"""Augmentation of images, in training: where pixels go, and what colours they have.

Shapes: C channels (1 or 3), H height, W width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from descant.errors import UserError
from descant.inputs.augment import check_pair, check_range
from descant.inputs.geometry import Geometry
from descant.inputs.warp import to_pillow

_LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
_NUMBERS = 9  # drawn at once, so that no option changes what another one draws


@dataclass(frozen=True)
class ImageChange:
    """What is done to one image: drawn from an ``ImageAugment``; see there for the units."""

    mirrored: bool = False
    zoom: float = 1.0
    degrees: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    blur_px: float = 0.0

    def motion(self, width: int, height: int) -> Geometry:
        """Return where pixels (x, y) of the stored image go, within an image of the same size."""
        angle = math.radians(self.degrees)
        cos, sin = self.zoom * math.cos(angle), self.zoom * math.sin(angle)
        side = -1.0 if self.mirrored else 1.0
        turn = Geometry(((side * cos, -sin), (side * sin, cos)))
        x, y = (width - 1) / 2.0, (height - 1) / 2.0  # pixels are counted from the centre of the first one
        to_origin = Geometry(shift=(-x, -y))
        return to_origin.then(turn).then(Geometry(shift=(x + self.shift[0] * width, y + self.shift[1] * height)))


@dataclass(frozen=True)
class ImageAugment:
    """Random mirroring, affine motion and colours; every number is drawn uniformly.

    Attributes:
        flip: the probability that left and right are exchanged.
        translate: the furthest shift, in widths and heights of the image.
        scale: the least and the most magnification about the centre.
        degrees: the widest turn to either side.
        brightness, contrast, saturation: factors are drawn from 1 - value to 1 + value.
        noise: standard deviation of white noise, where 1 is from black to white.
        blur_px: the largest standard deviation of a Gaussian blur, in pixels of the view.
    """

    flip: float = 0.0
    translate: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    degrees: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    noise: float = 0.0
    blur_px: float = 0.0

    def check(self, where: str, grey: bool) -> None:
        """Raise a UserError for values out of range, and for colours of grey images."""
        check_range(f"{where}.flip", self.flip, 0, 1)
        check_range(f"{where}.translate", self.translate, 0, 1, "of the image's width and height")
        check_pair(f"{where}.scale", self.scale, 0.25, 4)
        check_range(f"{where}.degrees", self.degrees, 0, 180, "degrees")
        for name in ("brightness", "contrast", "saturation", "noise"):
            check_range(f"{where}.{name}", getattr(self, name), 0, 1)
        check_range(f"{where}.blur_px", self.blur_px, 0, 100, "pixels")
        if grey and self.saturation:
            raise UserError(f"{where}.saturation is {self.saturation}, but the images are grey: take it out")

    def draw(self, rng: np.random.Generator) -> ImageChange:
        """Return what to do to one image."""
        share = rng.random(_NUMBERS)
        spread = 2.0 * share - 1.0
        low, high = self.scale
        return ImageChange(
            mirrored=bool(share[0] < self.flip),
            zoom=float(low + share[1] * (high - low)),
            degrees=float(spread[2] * self.degrees),
            shift=(float(spread[3] * self.translate), float(spread[4] * self.translate)),
            brightness=float(1.0 + spread[5] * self.brightness),
            contrast=float(1.0 + spread[6] * self.contrast),
            saturation=float(1.0 + spread[7] * self.saturation),
            blur_px=float(share[8] * self.blur_px),
        )

    def recolour(self, picture_HWC: np.ndarray, change: ImageChange, rng: np.random.Generator) -> np.ndarray:
        """Return a uint8 image blurred, in its drawn colours, with noise."""
        if change.blur_px:
            picture_HWC = _blur(picture_HWC, change.blur_px)
        if (change.brightness, change.contrast, change.saturation) != (1.0, 1.0, 1.0):
            picture_HWC = colour(picture_HWC, change)
        if self.noise:
            noise_HWC = rng.standard_normal(picture_HWC.shape, np.float32)
            picture_HWC = np.rint(picture_HWC + 255.0 * self.noise * noise_HWC).clip(0, 255).astype(np.uint8)
        return picture_HWC


def colour(picture_HWC: np.ndarray, change: ImageChange) -> np.ndarray:
    """Return a uint8 image in other colours.

    Brightness multiplies all; contrast multiplies distances from the image's mean luminance, saturation each pixel's
    distance from its own luminance. All three are linear: one matrix and one offset, rounded and cut off once.
    """
    gain = change.contrast * change.brightness
    if picture_HWC.shape[2] == 1:
        offset = (1.0 - change.contrast) * change.brightness * float(picture_HWC.mean())
        table = np.floor(gain * np.arange(256) + offset + 0.5).clip(0, 255).astype(np.uint8)
        return np.take(table, picture_HWC)
    weights_C = np.asarray(_LUMINANCE)
    total_C = picture_HWC.sum(axis=0, dtype=np.uint32).sum(axis=0)
    luminance = float(total_C @ weights_C) / (picture_HWC.size / 3)
    matrix_CC = gain * (change.saturation * np.eye(3) + (1.0 - change.saturation) * weights_C)
    offset = (1.0 - change.contrast) * change.brightness * luminance
    rows = np.column_stack([matrix_CC, np.full(3, offset)])
    return np.asarray(to_pillow(picture_HWC).convert("RGB", tuple(rows.ravel().tolist())))


def _blur(picture_HWC: np.ndarray, radius_px: float) -> np.ndarray:
    from PIL import ImageFilter

    blurred = to_pillow(picture_HWC).filter(ImageFilter.GaussianBlur(radius_px))
    return np.asarray(blurred).reshape(picture_HWC.shape)
