"""Five points of a face."""

from __future__ import annotations

from descant.tasks import Landmarks, register_task


@register_task("face_landmarks")
class FaceLandmarks(Landmarks):
    """Eyes, nose and mouth corners of a face, in MTFL's order: left eye, right eye, nose, left and right corner."""

    label = "landmarks"
    point_names = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
    eyes = (0, 1)
    left_eye_first = True
    flip_pairs = ((0, 1), (3, 4))
