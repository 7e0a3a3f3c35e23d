"""Decoders of stored members; none runs code that a shard could bring.

Whatever bytes they are given, they return numbers that can be trained on, or raise a ValueError in plain words.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from tokenize import TokenError
from typing import Any

import numpy as np

MAX_PIXELS = 64_000_000
MAX_SECONDS = 2 * 3600.0  # of audio
MAX_AUDIO_SAMPLES = 2**27  # 23 minutes of 48 kHz stereo; decoded they take half a gigabyte
MAX_LEVEL = 1e12  # of audio, in times full scale: the power of louder ones may be beyond float32
JPEG, PNG, NPY = b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"\x93NUMPY"  # how such members begin
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What damaged pictures raise in Pillow, which parses them in Python and promises none of them."""


def decode_array(member: bytes) -> np.ndarray:
    """Return a stored numpy array of numbers that are finite as float32, in the host's byte order.

    Integers, booleans and smaller floating-point numbers keep their type; float64 becomes float32. Object arrays
    (pickles) and numbers of more than 8 bytes are refused.
    """
    if not member.startswith(NPY):
        raise ValueError("the member is no npy array")
    shape, dtype = _read_npy_header(member)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ValueError(
            f"the array holds {dtype} (an object array would be a pickle), allowed are numbers of up to 8 bytes"
        )
    if math.prod(shape) * max(dtype.itemsize, 1) > len(member):
        raise ValueError(f"the array claims the shape {shape}, which its {len(member)} bytes cannot hold")
    try:
        value: np.ndarray = np.load(io.BytesIO(member), allow_pickle=False)
    except (EOFError, OSError, TypeError, OverflowError) as error:
        raise ValueError(f"the array does not load: {error}") from error
    return _finite(value)


def _finite(value: np.ndarray) -> np.ndarray:
    if value.dtype.kind != "f":
        return value.astype(value.dtype.newbyteorder("="), copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        value = value.astype(np.float16 if value.itemsize == 2 else np.float32, copy=False)
    # numpy's own test of half floats takes twenty times as long as a look at their exponents.
    half = value.itemsize == 2
    finite = (value.view(np.uint16) & 0x7C00) != 0x7C00 if half else np.isfinite(value)
    if not finite.all():
        raise ValueError("the array holds NaN or infinity, or numbers beyond float32: allowed are finite ones")
    return value


def _read_npy_header(member: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        stream = io.BytesIO(member)
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
    except (ValueError, EOFError, OSError, SyntaxError, TokenError, TypeError, OverflowError) as error:
        # numpy's own words quote the damaged header
        raise ValueError("the array's header is damaged or cut off") from error
    return shape, dtype


def decode_image(member: bytes, grey: bool = False) -> np.ndarray:
    """Return a JPEG or PNG as uint8 (H, W, C), C = 1 for grey, else 3."""
    if member.startswith(JPEG):
        return _decode_jpeg(member, grey)
    if not member.startswith(PNG) or len(member) < 24:
        raise ValueError("the picture is neither JPEG nor PNG")
    from PIL import Image

    _check_pixels(*struct.unpack(">II", member[16:24]))
    try:
        with Image.open(io.BytesIO(member), formats=["PNG"]) as picture:
            _check_pixels(*picture.size)  # a second header may state another size than the first
            if picture.mode == "P" and picture.palette is None:
                raise ValueError("it has no palette")
            pixels = np.asarray(picture.convert("L" if grey else "RGB"))
    except (*_PILLOW_ERRORS, Image.DecompressionBombError) as error:
        # Pillow names the stream by its address where it knows nothing else
        reason = str(error) if isinstance(error, OSError | ValueError) and "<_io" not in str(error) else ""
        raise ValueError(f"the picture does not decode: {reason or 'it is damaged or cut off'}") from error
    return pixels[..., None] if grey else pixels


def _decode_jpeg(member: bytes, grey: bool) -> np.ndarray:
    import simplejpeg

    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(member)
    except ValueError as error:
        raise ValueError("the picture does not decode: its JPEG header is damaged or cut off") from error
    _check_pixels(width, height)
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(member, colorspace="GRAY" if grey else "RGB")
    except ValueError as error:
        raise ValueError(f"the picture does not decode: {error}") from error
    return pixels


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f"the picture has {width} × {height} pixels, allowed are {MAX_PIXELS:,}")


def decode_audio(member: bytes) -> tuple[np.ndarray, int]:
    """Return a FLAC, WAV, MP3 or Ogg clip as mono float32 (N,), within ``MAX_LEVEL``, and its rate in Hz."""
    import soundfile

    if not member:
        raise ValueError("the clip is empty: it has 0 bytes")
    try:
        with soundfile.SoundFile(io.BytesIO(member)) as clip:
            if clip.frames * clip.channels > MAX_AUDIO_SAMPLES:
                raise ValueError(f"the clip claims {clip.frames:,} frames, allowed are {MAX_AUDIO_SAMPLES:,} samples")
            if clip.frames > MAX_SECONDS * clip.samplerate:
                raise ValueError(
                    f"the clip claims {clip.frames / clip.samplerate:.0f} s, allowed are {MAX_SECONDS:.0f} s"
                )
            audio, rate_hz = clip.read(dtype="float32", always_2d=True), clip.samplerate
    except soundfile.SoundFileError as error:
        raise ValueError(f"the clip does not decode: {_reason(error)}") from error
    if audio.size == 0:
        raise ValueError("the clip holds no audio")
    if not (audio.min() >= -MAX_LEVEL and audio.max() <= MAX_LEVEL):  # NaN is not
        raise ValueError(f"the clip holds samples that are not finite, or beyond {MAX_LEVEL:g} times full scale")
    audio_N: np.ndarray = audio.mean(axis=1) if audio.shape[1] > 1 else audio[:, 0]
    return np.ascontiguousarray(audio_N), rate_hz


def _reason(error: Exception) -> str:
    """Return libsndfile's reason in words that fit bytes in memory, of which some are about files on disks."""
    reason = str(getattr(error, "error_string", "")).rstrip(". ")
    if not reason or "regular file" in reason:
        return "it is cut off, or no audio that libsndfile reads"
    return reason[0].lower() + reason[1:]
