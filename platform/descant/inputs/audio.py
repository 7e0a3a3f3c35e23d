"""The ``mel`` input: log-mel frames of audio, or ready ones.

Shapes: N samples, T frames, M bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from descant.data.decode import NPY, decode_array, decode_audio
from descant.data.description import Field
from descant.errors import UserError
from descant.inputs.augment import read_augment
from descant.inputs.base import Input, View, inputs
from descant.inputs.fields import choose_field
from descant.inputs.front import Front
from descant.inputs.mel_augment import SILENCE, MelAugment
from descant.inputs.resample import resample
from descant.lazy import torch


@inputs.register("mel")
class MelInput(Input):
    """Frames (T, M) of a clip's log-mel spectrogram, each clip relative to its loudest bin.

    The spectrogram is of the whole clip and then cropped, at a random place in training, at ``views`` places spread
    evenly at evaluation (one: the centre). Clips shorter than the crop are padded with silence.

    Args:
        crop_frames: T.
        rate_hz, bands, n_fft, hop, mel_scale: of the spectrogram, see ``LogMel``; stored mels keep their own rate.
        views: how many crops are averaged at evaluation.
        where: ``loader`` computes mels in the loader processes, ``device`` in batches on the training device;
            ``auto`` is ``device`` where there is a GPU.
        augment: the options of ``MelAugment``, for training.
    """

    kinds = ("array", "audio")

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Field],
        *,
        field: str | None = None,
        crop_frames: int = 512,
        rate_hz: int = 16_000,
        bands: int = 128,
        n_fft: int = 2048,
        hop: int = 512,
        mel_scale: Literal["htk", "slaney"] = "htk",
        views: int = 1,
        where: Literal["auto", "loader", "device"] = "auto",
        augment: Mapping[str, Any] | None = None,
    ) -> None:
        _check(name, min(crop_frames, rate_hz, bands, hop, views, n_fft - 1), mel_scale, where)
        self.field_name, self.field = choose_field(name, field, fields, self.kinds)
        self.ready = self.field.kind == "array"
        self.shape: tuple[int, int] = (crop_frames, bands)
        self.views = views
        self.augment = read_augment(MelAugment, f"inputs.{name}.augment", augment)
        self.augment.check(f"inputs.{name}.augment", crop_frames, bands, self.ready)
        self.rate_hz = rate_hz = self.field.rate_hz or rate_hz if self.ready else rate_hz
        self.on_device = not self.ready and (where == "device" or (where == "auto" and torch.cuda.is_available()))
        self._options = {"rate_hz": rate_hz, "bands": bands, "n_fft": n_fft, "hop": hop, "mel_scale": mel_scale}
        self._mel: torch.nn.Module | None = None

    def decode(self, member: bytes) -> np.ndarray:
        """Return ready mels (T, M) of floating-point numbers, or the mono waveform (N,).

        A run that was trained on ready mels takes audio too, and makes its mels as the packer did.
        """
        if member.startswith(NPY) and not self.on_device:
            mel_TM = decode_array(member)
            if mel_TM.ndim != 2 or mel_TM.shape[1] != self.shape[1]:
                raise ValueError(f"the mel has shape {mel_TM.shape}, allowed is (frames, {self.shape[1]})")
            return mel_TM if mel_TM.dtype.kind == "f" else mel_TM.astype(np.float32)  # integers hold no silence
        return resample(*decode_audio(member), self.rate_hz)

    def train_view(self, decoded: np.ndarray, rng: np.random.Generator) -> View:
        """Return a crop at a random place, augmented."""
        place, drawn = rng.random(), self.augment.draw(self.shape, rng)
        if decoded.ndim == 1:
            decoded = self.augment.add_noise(decoded, rng)
        return self._crop(self._frames(decoded), place, drawn)

    def evaluation_views(self, decoded: np.ndarray) -> list[View]:
        """Return ``views`` crops spread evenly over the clip."""
        frames, drawn = self._frames(decoded), self.augment.draw(self.shape, None)
        places = [0.5] if self.views == 1 else [index / (self.views - 1) for index in range(self.views)]
        return [self._crop(frames, place, drawn) for place in places]

    def finish(self, arrays: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return mel crops (B, T, M), computed here from whole waveforms where ``on_device``."""
        if not self.on_device:
            return arrays["value"].float()
        lengths = arrays["length"].tolist()
        mel = self.mel.to(arrays["value"].device)
        if len(set(lengths)) == 1:
            mels = list(mel(arrays["value"]))
        else:
            mels = [mel(audio_N[None, :length])[0] for audio_N, length in zip(arrays["value"], lengths, strict=True)]
        crops = []
        for mel_TM, place in zip(mels, arrays["place"].tolist(), strict=True):
            start, before, after = self._place(mel_TM.shape[0], place)
            padded = torch.nn.functional.pad(mel_TM, (0, 0, before, after), value=SILENCE)
            crops.append(padded[start : start + self.shape[0]])
        return self.augment.apply_to_batch(torch.stack(crops), arrays)

    def front(self) -> Front:
        """Return the waveform, of which the program makes the frames; where ready mels are stored, a crop of these."""
        frames = self.shape[0]
        spectrogram = {**self._options, "unit": "1 is the loudest bin of the whole clip, -1 is 80 dB below it and less"}
        if self.ready:
            to_do = f"make log-mels of the whole clip and take {frames} frames out of its middle; -1 is silence"
            frames_of = {"is": "log-mel frames", "layout": "batch, frames, bands", "to_do": to_do, "mel": spectrogram}
            return Front(self.shape, about=frames_of)
        from descant.inputs.clip_mel import ClipMel
        from descant.inputs.mel import LogMel

        assert isinstance(self.mel, LogMel)
        front = ClipMel(self.mel, frames, self.views)
        about: dict[str, Any] = {
            "is": "the waveform of a whole clip, one channel, within -1 and 1",
            "rate_hz": self.rate_hz,
            "to_do": f"resample to {self.rate_hz} Hz; all clips of a batch have the same length",
            "done_inside": {"mel": spectrogram, "frames": frames, "crops": self.views},
        }
        return Front(("samples",), about=about, apply=front, least={"samples": front.least}, views=self.views)

    def show(self, values: torch.Tensor) -> torch.Tensor:
        """Return frames (B, T, M) as grey pictures: time from left to right, low bands at the bottom."""
        return (values.transpose(1, 2).flip(1)[:, None] + 1.0) / 2.0

    def blank(self) -> View:
        """Return silence."""
        if self.on_device:
            return self.evaluation_views(np.zeros(self.rate_hz, np.float32))[0]
        return View({"value": np.full(self.shape, SILENCE, np.float32)})

    @property
    def mel(self) -> torch.nn.Module:
        """The front end, on the device of the last batch (made when first needed)."""
        if self._mel is None:
            from descant.inputs.mel import LogMel

            self._mel = LogMel(**self._options)  # type: ignore[arg-type]
        return self._mel

    def _frames(self, decoded: np.ndarray) -> np.ndarray:
        """Return mels (T, M) of what was decoded; the waveform (N,) itself where they are made on the device."""
        if decoded.ndim > 1 or self.on_device:
            return decoded
        mel: np.ndarray = self.mel(torch.from_numpy(decoded)[None])[0].numpy()
        return mel

    def _crop(self, frames: np.ndarray, place: float, drawn: Mapping[str, np.ndarray]) -> View:
        if self.on_device:
            waveform = {"value": frames, "length": np.asarray(frames.shape[0]), "place": np.asarray(place)}
            return View({**waveform, **drawn})
        start, before, after = self._place(frames.shape[0], place)
        crop = frames[start : start + self.shape[0]]
        if before or after:
            crop = np.pad(crop, ((before, after), (0, 0)), constant_values=SILENCE)
        if drawn:
            return View({"value": self.augment.apply(crop, drawn)})
        # A view of a long clip would keep all of it in memory until its batch is made.
        return View({"value": crop.copy() if frames.size > 2 * crop.size else np.ascontiguousarray(crop)})

    def _place(self, frames: int, place: float) -> tuple[int, int, int]:
        """Return (start, padding before, padding after) of a crop at ``place`` (0: the start, 1: the end)."""
        spare = frames - self.shape[0]
        offset = min(int(place * (abs(spare) + 1)), abs(spare))
        return (offset, 0, 0) if spare >= 0 else (0, offset, -spare - offset)


def _check(name: str, least: int, mel_scale: str, where: str) -> None:
    if least < 1:
        raise UserError(f"the input {name!r} has a size below 1: crop_frames, rate_hz, bands, hop and views count")
    if mel_scale not in ("htk", "slaney") or where not in ("auto", "loader", "device"):
        raise UserError(
            f"the input {name!r} has mel_scale={mel_scale!r} and where={where!r}: allowed are htk and slaney, and "
            f"auto, loader and device"
        )
