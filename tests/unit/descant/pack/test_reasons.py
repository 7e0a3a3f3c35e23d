"""Reasons for what is left out are plain words, whatever is wrong with a file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from PIL import Image

from descant.data.decode import decode_array, decode_audio, decode_image

INTERNAL = re.compile(r"<_io|object at 0x|\{|<ast|Traceback|: ?$")


def image(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def audio(kind: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(np.arange(8000) / 5), 8000, format=kind)
    return buffer.getvalue()


def array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(12.0).reshape(3, 4))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("decode", "content"),
    [
        (decode_image, image("JPEG")),
        (decode_image, image("PNG")),
        (decode_audio, audio("MP3")),
        (decode_audio, audio("FLAC")),
        (decode_audio, audio("OGG")),
        (decode_audio, audio("WAV")),
        (decode_array, array()),
    ],
    ids=["jpg", "png", "mp3", "flac", "ogg", "wav", "npy"],
)
def test_reasons_are_plain_words(decode: Callable[[bytes], object], content: bytes) -> None:
    rng = np.random.default_rng(0)
    damaged = [content[:cut] for cut in (0, 1, 2, 8, 24, 40, 100, len(content) // 2)]
    for _ in range(300):
        bytes_N = bytearray(content)
        for place in rng.integers(0, min(len(content), 200), 3):
            bytes_N[place] = rng.integers(256)
        damaged.append(bytes(bytes_N))
    reasons = set()
    for member in damaged:
        try:
            decode(member)
        except ValueError as error:
            reasons.add(str(error))
    assert reasons and not [reason for reason in reasons if INTERNAL.search(reason) or "file does not" in reason]
