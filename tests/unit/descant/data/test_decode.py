"""Whatever bytes a shard holds, a decoder returns an array or raises a ValueError, which quarantines the sample."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from descant.data.decode import decode_array, decode_audio, decode_image
from support import npy

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 255, (12, 16, 3)).astype(np.uint8)


def picture(kind: str, pixels: np.ndarray = PIXELS) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def sound(kind: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * RNG.normal(size=2000), 8000, format=kind)
    return buffer.getvalue()


SOUND: dict[str, tuple[bytes, Callable[[bytes], Any]]] = {
    "png": (picture("PNG"), decode_image),
    "jpg": (picture("JPEG"), decode_image),
    "flac": (sound("FLAC"), decode_audio),
    "wav": (sound("WAV"), decode_audio),
    "mp3": (sound("MP3"), decode_audio),
    "ogg": (sound("OGG"), decode_audio),
    "npy": (npy(RNG.normal(size=(5, 4))), decode_array),
}


@pytest.mark.parametrize("extension", SOUND)
def test_sound_members_decode(extension: str) -> None:
    member, decode = SOUND[extension]
    decoded = decode(member)
    if extension in ("png", "jpg"):
        assert decoded.shape == (12, 16, 3)
        assert decode_image(member, grey=True).shape == (12, 16, 1)
    elif extension == "npy":
        assert decoded.shape == (5, 4)
    else:
        audio_N, rate_hz = decoded
        assert rate_hz == 8000
        assert audio_N.dtype == np.float32
        assert abs(len(audio_N) - 2000) < 3000


@pytest.mark.parametrize("extension", SOUND)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_members_are_value_errors(extension: str, data: st.DataObject) -> None:
    member, decode = SOUND[extension]
    damaged = bytearray(member[: data.draw(st.integers(0, len(member)))])
    for place in data.draw(st.lists(st.integers(0, 200), max_size=4)):
        if place < len(damaged):
            damaged[place] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(damaged))
    except ValueError:
        pass


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
@example(b"")
@example(b"PK\x03\x04not a zip")
@example(b"\xff\xd8")
def test_other_bytes_are_value_errors(member: bytes) -> None:
    for decode in (decode_array, decode_audio, decode_image):
        with pytest.raises(ValueError, match="."):
            decode(member)


def bomb(pixels: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", pixels, pixels, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("pixels", [9_000, 12_000, 30_000])
def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(pixels: int) -> None:
    with pytest.raises(ValueError, match="pixels"):
        decode_image(bomb(pixels))


def test_an_array_that_claims_to_be_huge_is_refused() -> None:
    member = npy(np.zeros(4)).replace(b"(4,), }" + b" " * 12, b"(4000000000000,), }")
    with pytest.raises(ValueError, match="array|allocate|shape"):
        decode_array(member)


def test_nothing_is_unpickled() -> None:
    with pytest.raises(ValueError, match="pickle"):
        decode_array(npy(np.asarray([{"a": 1}, None], object)))
    archive = io.BytesIO()
    np.savez(archive, a=np.zeros(3))
    with pytest.raises(ValueError, match="no npy array"):
        decode_array(archive.getvalue())


@pytest.mark.parametrize(("audio", "said"), [(np.zeros((0, 1)), "no audio"), (np.full((9, 1), np.nan), "not finite")])
def test_clips_without_sound_numbers_are_refused(audio: np.ndarray, said: str) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, 8000, format="WAV", subtype="FLOAT")
    with pytest.raises(ValueError, match=said):
        decode_audio(buffer.getvalue())


def test_grey_and_transparent_pictures_become_three_channels_or_one() -> None:
    assert decode_image(picture("PNG", PIXELS[..., 0])).shape == (12, 16, 3)
    assert decode_image(picture("PNG", np.dstack([PIXELS, PIXELS[..., :1]]))).shape == (12, 16, 3)
    assert decode_image(picture("JPEG", PIXELS[..., 0]), grey=True).shape == (12, 16, 1)
