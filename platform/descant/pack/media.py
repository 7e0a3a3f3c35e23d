"""Audio or pictures by their files' extensions, and how each is stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from descant.data.infer import KINDS
from descant.errors import UserError
from descant.pack.clip import Clips
from descant.pack.picture import Pictures
from descant.pack.record import Format

AUDIO, IMAGES = (tuple(name for name, kind in KINDS.items() if kind == wanted) for wanted in ("audio", "image"))
Kind = Literal["auto", "audio", "image"]
Media = Clips | Pictures


@dataclass(frozen=True)
class MediaFormat(Format):
    """A format of audio or picture files.

    Attributes:
        input: audio or image; ``auto`` takes what the files are.
        rate_hz: of audio, which is stored as FLAC, mono.
        mels: store float16 log-mels (T, 128) instead of FLAC.
        min_seconds: shorter clips are left out, where it is given.
        size: the length in pixels that the shorter side of pictures is brought to; as they are if None. Pictures are
            stored as JPEG where one of them is a JPEG, else as PNG.
    """

    input: Kind = "auto"
    rate_hz: int = 16_000
    mels: bool = False
    min_seconds: float | None = None
    size: int | None = None

    def media(self, paths: Iterable[str]) -> tuple[Media, frozenset[str]]:
        """Return how files of these paths are stored, and the extensions of those that can be.

        Raises:
            UserError: there is none, or there are both audio and pictures.
        """
        extensions = {extension_of(path) for path in paths}
        has_audio, has_images = not extensions.isdisjoint(AUDIO), not extensions.isdisjoint(IMAGES)
        if self.input == "auto" and has_audio and has_images:
            raise UserError(
                "there are both audio files and pictures: say with --input audio or --input image which to pack"
            )
        if self.input == "audio" or (self.input == "auto" and has_audio):
            chosen: tuple[str, ...] = AUDIO
            there = has_audio
            media: Media = Clips(self.rate_hz, self.mels, self.min_seconds or 0.0)
        else:
            chosen, there = IMAGES, has_images
            media = Pictures("png" if extensions.isdisjoint(("jpg", "jpeg")) else "jpg", self.size)
        if not there:
            raise UserError(f"there is no file that can be packed: known are {', '.join((*AUDIO, *IMAGES))}")
        return media, frozenset(chosen)


def extension_of(path: str) -> str:
    """Return what follows the last dot of the base name, in lower case."""
    return path.rpartition("/")[2].rpartition(".")[2].lower()
