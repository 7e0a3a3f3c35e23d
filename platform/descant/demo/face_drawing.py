"""Draws a demo face with Pillow: background, hair, head, eyes, brows, nose, mouth, glasses, light and grain."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from descant.demo.face_shape import Attributes, FaceShape, Points

Colour = tuple[int, int, int]
_FINER = 2  # drawn at twice the size and scaled down: smooth edges
_SKINS = ((244, 214, 190), (228, 184, 150), (198, 148, 112), (150, 104, 74), (98, 66, 48))
_HAIRS = ((28, 22, 20), (66, 44, 30), (122, 82, 46), (196, 158, 96), (150, 148, 146), (112, 48, 28))
_CIRCLE_P2 = np.stack([np.cos(np.linspace(0, 2 * np.pi, 33)), np.sin(np.linspace(0, 2 * np.pi, 33))], axis=1)


def draw_face(shape: FaceShape, attributes: Attributes, rng: np.random.Generator) -> Image.Image:
    """Return the RGB image, ``shape.side`` pixels high and wide, with the landmarks where ``shape`` says."""
    return _Face(shape, attributes, rng).draw()


class _Face:
    """The canvas and colours of one face; each method draws one part over what is there."""

    def __init__(self, shape: FaceShape, attributes: Attributes, rng: np.random.Generator) -> None:
        self.shape, self.attributes, self.rng = shape, attributes, rng
        self.skin = _vary(_SKINS[rng.integers(len(_SKINS))], rng)
        self.hair = _vary(_HAIRS[rng.integers(len(_HAIRS))], rng)
        self.hair_length = float(np.clip(0.35 + 0.5 * shape.feminine + rng.normal(0, 0.35), -0.2, 1.3))
        self.jaw = 0.2 + 0.06 * shape.feminine + rng.normal(0, 0.03)
        self.image = _background(shape.side * _FINER, rng)
        self.canvas = ImageDraw.Draw(self.image)

    def draw(self) -> Image.Image:
        self._hair_behind_and_shoulders()
        self._head()
        if self.attributes.gender == 1 and self.rng.random() < 0.35:
            self._beard()
        for side in (-1, 1):
            self._eye(side)
        self._nose()
        self._mouth()
        self._hair_in_front()
        if self.attributes.glasses == 1:
            self._glasses()
        return _photograph(self.image, self.shape.side, self.rng)

    def _hair_behind_and_shoulders(self) -> None:
        cloth: Colour = tuple(self.rng.integers(20, 230, 3).tolist())
        if self.hair_length > 0.3:
            low = 0.3 + self.hair_length
            self._patch(
                [
                    (-0.8, -0.7, 0.0),
                    (-0.92, 0.0, 0.0),
                    (-0.95, low, 0.0),
                    (0.95, low, 0.0),
                    (0.92, 0.0, 0.0),
                    (0.8, -0.7, 0.0),
                ],
                self.hair,
            )
        self._patch([(-0.4, 0.3, 0.0), (0.4, 0.3, 0.0), (0.45, 1.5, 0.0), (-0.45, 1.5, 0.0)], _scaled(self.skin, 0.8))
        self._patch(
            [(-0.5, 1.15, 0.0), (0.5, 1.15, 0.0), (1.7, 1.5, 0.0), (1.9, 3.0, 0.0), (-1.9, 3.0, 0.0), (-1.7, 1.5, 0.0)],
            cloth,
        )

    def _head(self) -> None:
        for side in (-1, 1):
            if side * self.shape.yaw < 0.35:  # the far ear is hidden behind the cheek
                self._oval((side * 0.78, 0.0, 0.0), 0.11, 0.2, _scaled(self.skin, 0.85))
        outline_P2 = self._outline(1.0)
        self._polygon(outline_P2, self.skin, line=_scaled(self.skin, 0.7))
        for side in (-1, 1):
            self._oval((side * 0.45, 0.2, 0.6), 0.16, 0.12, _mixed(self.skin, (220, 90, 80), 0.12))

    def _outline(self, size: float, low: float = -1.0) -> Points:
        """Outline (P, 2) of the head in pixels below ``low``; an ellipsoid keeps its outline when it turns."""
        angle = np.linspace(0, 2 * np.pi, 65)
        height = np.clip(-np.cos(angle), low, 1)
        width = 0.76 * np.sin(angle) * (1 - self.jaw * np.clip(height, 0, 1) ** 2)
        depth = 0.26 * np.ones_like(angle)
        # undo the foreshortening that projecting would give
        return self._pixels(np.stack([width * size / np.cos(self.shape.yaw), height * size, depth], axis=1))

    def _beard(self) -> None:
        strength = self.rng.uniform(0.3, 0.8)
        beard = _mixed(self.skin, self.hair, strength)
        self._polygon(self._outline(0.99, low=0.36), beard)
        self._oval((0.0, 0.36, 0.85), 0.3, 0.1, beard)

    def _eye(self, side: int) -> None:
        shape = self.shape
        x, y = side * shape.eye_x, shape.eye_y
        opening = 0.062 + 0.008 * shape.feminine - 0.02 * shape.smiling + self.rng.normal(0, 0.004)
        dark = _scaled(self.hair, 0.6)
        self._oval((x, y, 0.72), 0.14, opening, (240, 238, 234), line=dark)
        self._oval((x, y, 0.73), 0.055, min(0.055, opening), (50, 36, 30))
        lid = [(x + dx, y - 1.1 * opening * (1 - (dx / 0.16) ** 2), 0.72) for dx in np.linspace(-0.15, 0.15, 9)]
        self._stroke(lid, dark, 0.025 + 0.012 * max(shape.feminine, 0))
        thick = float(np.clip(0.055 - 0.016 * shape.feminine + self.rng.normal(0, 0.008), 0.02, 0.1))
        lift = 0.19 + 0.015 * shape.feminine
        brow = [(x + dx, y - lift - 0.04 * (1 - (dx / 0.19) ** 2), 0.72) for dx in np.linspace(-0.18, 0.18, 9)]
        self._stroke(brow, self.hair, thick)

    def _nose(self) -> None:
        tip, shade = self.shape.nose_y, _scaled(self.skin, 0.82)
        side = 1 if self.shape.yaw <= 0 else -1
        self._patch([(0.0, -0.15, 0.78), (side * 0.14, tip + 0.03, 0.8), (0.0, tip, 1.04)], shade)
        self._patch(
            [(-0.13, tip + 0.05, 0.82), (0.0, tip - 0.06, 1.0), (0.13, tip + 0.05, 0.82)], _scaled(self.skin, 0.92)
        )
        for nostril in (-0.06, 0.06):
            self._oval((nostril, tip + 0.06, 0.9), 0.03, 0.018, _scaled(self.skin, 0.4))
        self._oval((0.0, tip, 1.04), 0.04, 0.035, _mixed(self.skin, (255, 255, 255), 0.25))

    def _mouth(self) -> None:
        shape = self.shape
        red = _mixed(_scaled(self.skin, 0.85), (190, 50, 60), 0.35 + 0.15 * max(shape.feminine, 0))
        across = np.linspace(-1, 1, 15)
        depth = 0.72 + 0.14 * (1 - across**2)
        bend = 1 - across**2  # 0 at the corners, 1 in the middle
        line_y = shape.corner_y + (shape.mouth_y - shape.corner_y) * bend
        upper_y = line_y - 0.05 * bend
        lower_y = line_y + (0.07 + 0.05 * max(shape.smiling, 0)) * bend
        x = across * shape.mouth_x
        upper, lower = np.stack([x, upper_y, depth], 1), np.stack([x, lower_y, depth], 1)
        self._patch(np.concatenate([upper, lower[::-1]]), red)
        if shape.smiling > 0.6 and self.rng.random() < 0.7:
            teeth_y = line_y + 0.055 * bend
            middle = np.stack([x, line_y - 0.01 * bend, depth], 1)
            self._patch(np.concatenate([middle, np.stack([x, teeth_y, depth], 1)[::-1]]), (245, 242, 235))
        else:
            self._stroke(np.stack([x, line_y, depth], 1), _scaled(red, 0.5), 0.02)
        if shape.smiling > 0.5:
            for side in (-1, 1):
                crease = [(side * 0.17, 0.2, 0.85), (side * 0.36, 0.32, 0.72), (side * 0.4, 0.42, 0.66)]
                self._stroke(crease, _scaled(self.skin, 0.75), 0.018)

    def _hair_in_front(self) -> None:
        if self.attributes.gender == 1 and self.rng.random() < 0.12:
            return  # bald
        top_P2 = self._outline(1.06)
        line_y, side_y = self.rng.uniform(-0.78, -0.5), min(-0.25 + max(self.hair_length, 0) * 0.6, 0.2)
        part_x = self.rng.uniform(-0.4, 0.4)
        fringe = [(-0.8, side_y, 0.1), (-0.66, line_y + 0.15, 0.45), (part_x, line_y, 0.62)]
        fringe += [(0.66, line_y + 0.15, 0.45), (0.8, side_y, 0.1)]
        crown_P2 = top_P2[np.r_[44:64, 0:21]]  # over the top, from the left temple to the right
        self._polygon(np.concatenate([crown_P2, self._pixels(np.array(fringe)[::-1])]), self.hair)

    def _glasses(self) -> None:
        shape = self.shape
        frame = _vary(((20, 20, 24), (90, 60, 30), (120, 120, 125))[self.rng.integers(3)], self.rng)
        wide, high, thick = self.rng.uniform(0.2, 0.25), self.rng.uniform(0.13, 0.19), self.rng.uniform(0.025, 0.05)
        tinted = self.rng.random() < 0.2
        for side in (-1, 1):
            centre = (side * shape.eye_x, shape.eye_y + 0.02, 0.85)
            rim_P3 = (
                np.array(centre) + np.c_[np.sign(_CIRCLE_P2) * np.abs(_CIRCLE_P2) ** 0.7 * (wide, high), np.zeros(33)]
            )
            if tinted:
                self._patch(rim_P3, (34, 34, 40))
            self._stroke(rim_P3, frame, thick)
            temple = [(side * (shape.eye_x + wide), shape.eye_y, 0.85), (side * 0.8, shape.eye_y, 0.1)]
            if side * shape.yaw < 0.35:
                self._stroke(temple, frame, thick)
        bridge = [(-shape.eye_x + wide, shape.eye_y, 0.85), (shape.eye_x - wide, shape.eye_y, 0.85)]
        self._stroke(bridge, frame, thick)

    def _pixels(self, points_P3: Points) -> Points:
        return self.shape.project(points_P3) * _FINER

    def _patch(self, points_P3: Points | list[tuple[float, float, float]], fill: Colour) -> None:
        self._polygon(self._pixels(np.array(points_P3, np.float64)), fill)

    def _oval(
        self, centre: tuple[float, float, float], wide: float, high: float, fill: Colour, line: Colour | None = None
    ) -> None:
        points_P3 = np.array(centre) + np.c_[_CIRCLE_P2 * (wide, high), np.zeros(len(_CIRCLE_P2))]
        self._polygon(self._pixels(points_P3), fill, line)

    def _stroke(self, points_P3: Points | list[tuple[float, float, float]], colour: Colour, thick: float) -> None:
        points_P2 = self._pixels(np.array(points_P3, np.float64))
        width = max(1, round(thick * self.shape.scale * _FINER))
        self.canvas.line([tuple(point) for point in points_P2.tolist()], fill=colour, width=width, joint="curve")

    def _polygon(self, points_P2: Points, fill: Colour, line: Colour | None = None) -> None:
        self.canvas.polygon([tuple(point) for point in points_P2.tolist()], fill=fill, outline=line)


def _background(side: int, rng: np.random.Generator) -> Image.Image:
    """Clutter: a few blurred bars and blobs over a plain colour."""
    image = Image.new("RGB", (side, side), tuple(rng.integers(30, 226, 3).tolist()))
    canvas = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 10))):
        left, top = rng.uniform(-0.3, 1, 2) * side
        right, bottom = (left, top) + rng.uniform(0.08, 0.6, 2) * side
        draw = canvas.rectangle if rng.random() < 0.6 else canvas.ellipse
        draw((left, top, right, bottom), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(1, 8))))


def _photograph(image: Image.Image, side: int, rng: np.random.Generator) -> Image.Image:
    """Scale down and add what a camera adds: light from one side, contrast, blur, grain, at times no colour."""
    small = image.resize((side, side), Image.Resampling.BOX)
    small = small.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 0.9))))
    pixels_HWC = np.asarray(small, np.float64)
    if rng.random() < 0.15:
        pixels_HWC = np.repeat(pixels_HWC.mean(axis=2, keepdims=True), 3, axis=2)
    row_HW, column_HW = np.mgrid[-0.5 : 0.5 : side * 1j, -0.5 : 0.5 : side * 1j]
    direction, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6)
    light_HW = 1 + strength * (np.cos(direction) * column_HW + np.sin(direction) * row_HW)
    pixels_HWC = (pixels_HWC - 128) * rng.uniform(0.7, 1.1) + 128 + rng.uniform(-20, 20)
    pixels_HWC = pixels_HWC * light_HW[:, :, None] + rng.normal(0, rng.uniform(1, 8), (side, side, 1))
    return Image.fromarray(np.clip(pixels_HWC, 0, 255).astype(np.uint8))


def _vary(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = (int(np.clip(part + rng.normal(0, 7), 0, 255)) for part in colour)
    return red, green, blue


def _scaled(colour: Colour, factor: float) -> Colour:
    return _mixed((0, 0, 0), colour, factor)


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue
