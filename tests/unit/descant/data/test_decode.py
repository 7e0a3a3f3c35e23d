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
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from descant.data.decode import PNG, decode_array, decode_audio, decode_image
from support import npy

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 255, (12, 16, 3)).astype(np.uint8)


def picture(kind: str, pixels: np.ndarray = PIXELS, mode: str | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def sound(kind: str, channels: int = 1, subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * RNG.normal(size=(2000, channels)), 8000, format=kind, subtype=subtype)
    return buffer.getvalue()


SOUND: dict[str, tuple[bytes, Callable[[bytes], Any]]] = {
    "png": (picture("PNG"), decode_image),
    "jpg": (picture("JPEG"), decode_image),
    "flac": (sound("FLAC"), decode_audio),
    "wav": (sound("WAV"), decode_audio),
    "mp3": (sound("MP3"), decode_audio),
    "ogg": (sound("OGG"), decode_audio),
    "npy": (npy(RNG.normal(size=(5, 4))), decode_array),
    "palette.png": (picture("PNG", PIXELS[..., 0], "P", transparency=3), decode_image),
    "animated.png": (
        picture("PNG", save_all=True, append_images=[Image.fromarray(255 - PIXELS)]),
        decode_image,
    ),
    "progressive.jpg": (picture("JPEG", progressive=True), decode_image),
    "float.wav": (sound("WAV", 2, "FLOAT"), decode_audio),
    "half.npy": (npy(RNG.normal(size=(5, 4)).astype(">f2")), decode_array),
    "integers.npy": (npy(np.arange(20, dtype=">i8")), decode_array),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_members_decode(name: str) -> None:
    member, decode = SOUND[name]
    decoded = decode(member)
    if decode is decode_image:
        assert decoded.shape == (12, 16, 3)
        assert decode_image(member, grey=True).shape == (12, 16, 1)
    elif decode is decode_array:
        assert decoded.size == 20
        assert decoded.dtype.isnative
    else:
        audio_N, rate_hz = decoded
        assert rate_hz == 8000
        assert audio_N.dtype == np.float32
        assert abs(len(audio_N) - 2000) < 3000


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_check_sums(png: bytes) -> bytes:
    """Mend the check sums of a damaged PNG, so that what lies behind them is decoded."""
    mended, place = png[:8], 8
    while place + 12 <= len(png):
        size = struct.unpack(">I", png[place : place + 4])[0]
        if place + 12 + size > len(png):
            break
        mended += chunk(png[place + 4 : place + 8], png[place + 8 : place + 8 + size])
        place += 12 + size
    return mended + png[place:]


@st.composite
def damaged(draw: st.DrawFn, member: bytes) -> bytes:
    """Draw a member in which bytes were changed, lost or put in, or of which the end is cut off."""
    content = bytearray(member)
    near = draw(st.sampled_from([64, 256, len(member)]))
    for _ in range(draw(st.integers(0, 5))):
        place, change = draw(st.integers(0, near)), draw(st.binary(max_size=6))
        content[place : place + draw(st.integers(0, 6))] = change
    cut = bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)
    return with_check_sums(cut) if cut.startswith(PNG) and draw(st.booleans()) else cut


@pytest.mark.filterwarnings("ignore")  # of what libraries say beside, such as Pillow of a damaged animation
@pytest.mark.parametrize("name", SOUND)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_members_are_value_errors(name: str, data: st.DataObject) -> None:
    member, decode = SOUND[name]
    try:
        decoded = decode(data.draw(damaged(member)))
    except ValueError as error:
        assert str(error)
    else:
        numbers = decoded[0] if isinstance(decoded, tuple) else decoded
        assert np.isfinite(torch.from_numpy(numbers).float().numpy()).all()


def test_a_picture_whose_palette_is_gone_is_a_value_error() -> None:
    member = picture("PNG", PIXELS[..., 0], "P")
    place = member.index(b"PLTE")
    size = struct.unpack(">I", member[place - 4 : place])[0]
    with pytest.raises(ValueError, match="it has no palette"):
        decode_image(member[: place - 4] + member[place + 8 + size :])


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
    header = struct.pack(">IIBBBBB", pixels, pixels, 8, 2, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


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


@pytest.mark.parametrize("kind", ["<f2", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e39])
def test_numbers_that_are_not_finite_as_float32_are_refused(kind: str, number: float) -> None:
    array = np.zeros((3, 4), "<f8")
    assert decode_array(npy(array.astype(kind))).dtype.itemsize <= 4
    array[2, 1] = number
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="NaN or infinity, or numbers beyond float32"):
        decode_array(npy(array.astype(kind)))


def test_numbers_that_torch_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="numbers of up to 8 bytes"):
        decode_array(npy(np.zeros(3, np.longdouble)))


@pytest.mark.parametrize("kind", ["?", "<i2", ">u4", "<u8"])
def test_integers_stay_what_they_are(kind: str) -> None:
    decoded = decode_array(npy(np.arange(2).astype(kind)))
    assert decoded.dtype == np.dtype(kind).newbyteorder("=")
    assert decoded.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (np.zeros((0, 1)), "no audio"),
        (np.full((9, 1), np.nan), "not finite"),
        (np.full((9, 2), [np.inf, -np.inf]), "not finite"),
        (np.full((9, 2), 3e38), "times full scale"),
    ],
)
def test_clips_without_sound_numbers_are_refused(audio: np.ndarray, said: str) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, 8000, format="WAV", subtype="FLOAT")
    with pytest.raises(ValueError, match=said):
        decode_audio(buffer.getvalue())


def test_grey_and_transparent_pictures_become_three_channels_or_one() -> None:
    assert decode_image(picture("PNG", PIXELS[..., 0])).shape == (12, 16, 3)
    assert decode_image(picture("PNG", np.dstack([PIXELS, PIXELS[..., :1]]))).shape == (12, 16, 3)
    assert decode_image(picture("JPEG", PIXELS[..., 0]), grey=True).shape == (12, 16, 1)
