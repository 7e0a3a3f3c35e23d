"""Affine maps: what goes somewhere comes back, and chains do what their parts do one after another."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from descant.inputs import Geometry, View

NUMBERS = st.floats(-50, 50, allow_subnormal=False)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    a, b, c, d, x, y = (draw(NUMBERS) for _ in range(6))
    assume(abs(a * d - b * c) > 0.1)
    return Geometry(((a, b), (c, d)), (x, y))


POINTS = st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=1, max_size=5).map(np.asarray)


@given(geometries(), POINTS)
def test_to_pixels_undoes_from_pixels(geometry: Geometry, points: np.ndarray) -> None:
    view = View({}, geometry)
    size = np.abs(np.linalg.inv(np.asarray(geometry.matrix))).max()
    tolerance = 1e-9 * (1 + size) * (1 + np.abs(view.from_pixels(points)).max())
    np.testing.assert_allclose(view.to_pixels(view.from_pixels(points)), points, rtol=0, atol=tolerance)


@given(geometries(), geometries(), POINTS)
def test_a_chain_is_one_map_after_the_other(first: Geometry, second: Geometry, points: np.ndarray) -> None:
    np.testing.assert_allclose(
        first.then(second).apply(points), second.apply(first.apply(points)), rtol=1e-9, atol=1e-6
    )


@given(st.floats(0.1, 9), st.floats(-math.pi, math.pi), st.booleans(), st.booleans())
def test_a_mirror_is_seen_through_any_turn_and_two_mirrors_are_none(
    zoom: float, angle: float, first: bool, second: bool
) -> None:
    def mirror(on: bool) -> Geometry:
        return Geometry(((-1.0 if on else 1.0, 0.0), (0.0, 1.0)), (3.0, 0.0))

    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    chain = mirror(first).then(Geometry(((cos, -sin), (sin, cos)), (1.0, -2.0))).then(mirror(second))
    assert View({}, chain).mirrored == (first != second)
    assert not View({}).mirrored


def test_a_scaling_is_what_a_resized_image_has() -> None:
    points = np.asarray([[3.0, 4.0], [10.0, 0.5]])
    np.testing.assert_array_equal(Geometry.scaling(0.25).apply(points), points * 0.25)
    assert not Geometry.scaling(0.25).mirrored
