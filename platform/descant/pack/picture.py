"""Pictures as they are stored.

Shapes: H height, W width, C channels: 1 grey, 3 red, green, blue.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from descant.data.decode import JPEG, MAX_PIXELS, PNG, decode_image
from descant.data.description import Field
from descant.errors import UserError
from descant.pack.record import PackedSample

JPEG_QUALITY = 95
_BEGINNINGS = {"jpg": JPEG, "png": PNG}


@dataclass(frozen=True)
class Pictures:
    """How pictures are stored.

    Attributes:
        extension: pictures that are of this kind already are stored as they are.
        size: the length in pixels that the shorter side is brought to; as they are if None.
    """

    extension: Literal["jpg", "png"] = "jpg"
    size: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not 8 <= self.size <= 4096:
            raise UserError(
                f"size is {self.size}: give 8 to 4096 pixels, or leave it out to store pictures as they are"
            )

    def fields(self) -> dict[str, Field]:
        """Return the input that the pictures become."""
        return {"image": Field("image", self.extension)}

    def encode(self, content: bytes, labels: Mapping[str, Any]) -> PackedSample:
        """Return a sample of a JPEG or PNG file; a ValueError says why there is none."""
        picture_HWC = decode_image(content)  # that it decodes is known now, and not first in training
        if self.size is None and content.startswith(_BEGINNINGS[self.extension]):
            return PackedSample({self.extension: content}, labels)
        if self.size is not None:
            picture_HWC = _resized(picture_HWC, self.size)
        encode = encode_jpeg if self.extension == "jpg" else encode_png
        return PackedSample({self.extension: encode(picture_HWC)}, labels)


def encode_jpeg(picture_HWC: np.ndarray) -> bytes:
    """Return (H, W, 3) of uint8 as a JPEG."""
    import simplejpeg

    jpg: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(picture_HWC), quality=JPEG_QUALITY, colorspace="RGB")
    return jpg


def encode_png(picture: np.ndarray) -> bytes:
    """Return (H, W, 3) or, for grey, (H, W) of uint8 as a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _resized(picture_HWC: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    height, width = picture_HWC.shape[:2]
    scale = size / min(height, width)
    target = (max(round(width * scale), 1), max(round(height * scale), 1))
    if target[0] * target[1] > MAX_PIXELS:
        raise ValueError(
            f"with a shorter side of {size} pixels it would have {target[0]} × {target[1]}, allowed are {MAX_PIXELS:,}"
        )
    return np.asarray(Image.fromarray(picture_HWC).resize(target, Image.Resampling.LANCZOS))
