"""The mel front end of exported programs: from waveforms of any one length to the crops that the trunk takes.

Shapes: B clips, N samples, T frames of a crop, M mel bands, V crops of a clip, X frames of a clip, F frequencies.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from descant.inputs.mel import FLOOR_DB, LEAST_POWER, LogMel


class ClipMel(nn.Module):
    """(B, N) → (B · V, T, M): the numbers of ``LogMel`` to 1e-5, in operations that can be traced for any N.

    Args:
        mel: the front end that it stands for.
        frames: T.
        views: V, spread evenly over the clip; one is its middle.
    """

    window_N: Tensor
    bank_FM: Tensor

    def __init__(self, mel: LogMel, frames: int, views: int) -> None:
        super().__init__()
        self.n_fft, self.hop, self.frames, self.views = mel.n_fft, mel.hop, frames, views
        self.least = max((frames - 1) * mel.hop, mel.n_fft // 2 + 1)
        self.register_buffer("window_N", mel.window_N.clone(), persistent=False)
        self.register_buffer("bank_FM", mel.bank_MF.T.contiguous(), persistent=False)

    def forward(self, audio_BN: Tensor) -> Tensor:
        """Return the crops of each clip side by side; N is ``least`` or more."""
        half = self.n_fft // 2
        padded_BN = nn.functional.pad(audio_BN[:, None], (half, half), mode="reflect")[:, 0]
        spectrum_BXF = torch.fft.rfft(padded_BN.unfold(1, self.n_fft, self.hop) * self.window_N)
        power_BXM = (spectrum_BXF.real.square() + spectrum_BXF.imag.square()) @ self.bank_FM
        decibels = 10.0 * power_BXM.clamp(min=LEAST_POWER).log10()
        below = decibels - decibels.amax(dim=(1, 2), keepdim=True)
        mel_BXM = (below.clamp(min=-FLOOR_DB) + FLOOR_DB / 2) / (FLOOR_DB / 2)
        spare = mel_BXM.shape[1] - self.frames
        from_T = torch.arange(self.frames, device=mel_BXM.device)
        places_VT = torch.stack([from_T + self._start(spare, view) for view in range(self.views)])
        crops: Tensor = mel_BXM[:, places_VT].flatten(0, 1)  # by index: slices at an unknown place cannot be traced
        return crops

    def _start(self, spare: Any, view: int) -> Any:
        """Return where a crop starts, of ``spare`` + 1 places: a whole number, or torch's symbol of one."""
        if self.views == 1:
            return (spare + 1) // 2
        return spare if view == self.views - 1 else view * (spare + 1) // (self.views - 1)
