"""Audio from one rate to another.

Shapes: N samples of mono audio.
"""

from __future__ import annotations

import math

import numpy as np

from descant.data.decode import MAX_AUDIO_SAMPLES

_MOST_TAPS = 2**24  # of the filter, which torchaudio makes anew for each clip: a quarter of a gigabyte, 0.4 s
_BLOCK = 2**22  # samples, of which some pairs of rates take a hundred bytes each; torchaudio miscounts from 2**24 on
_CONTEXT = 16  # periods; the filter reaches over 6 of the slower rate's samples on either side


def resample(audio_N: np.ndarray, stored_hz: int, rate_hz: int) -> np.ndarray:
    """Return mono audio at another rate, by torchaudio's windowed sinc filter.

    Long clips go through it block by block, so that the memory that it takes does not grow with them.

    Raises:
        ValueError: the rates have so small a common divisor that the filter would be huge, or the clip would become
            longer than clips may be.
    """
    if stored_hz == rate_hz:
        return audio_N
    common_hz = math.gcd(stored_hz, rate_hz)
    stored, wanted = stored_hz // common_hz, rate_hz // common_hz  # samples in a period of both
    if stored * wanted > _MOST_TAPS:
        raise ValueError(
            f"the clip has {stored_hz} Hz, which cannot be brought to {rate_hz} Hz by a filter of reasonable size: "
            f"the two have a common divisor of {common_hz} only"
        )
    if audio_N.size * wanted > MAX_AUDIO_SAMPLES * stored:
        raise ValueError(
            f"the clip has {audio_N.size / stored_hz:.0f} s, which at {rate_hz} Hz would be more than the allowed "
            f"{MAX_AUDIO_SAMPLES:,} samples"
        )
    step = max(_BLOCK // max(stored, wanted), 1) * stored
    blocks = [_block(audio_N, start, min(start + step, audio_N.size), stored, wanted)
              for start in range(0, audio_N.size, step)]  # fmt: skip
    return np.concatenate(blocks) if len(blocks) > 1 else blocks[0]


def _block(audio_N: np.ndarray, start: int, stop: int, stored: int, wanted: int) -> np.ndarray:
    """Return what samples ``start`` (of a whole period) to ``stop`` become, heard with what is around them."""
    import torch
    from torchaudio import functional

    first = max(start - _CONTEXT * stored, 0)
    around = torch.from_numpy(audio_N[first : stop + _CONTEXT * stored])
    skipped = (start - first) // stored * wanted
    resampled_N: np.ndarray = functional.resample(around, stored, wanted).numpy()
    return resampled_N[skipped : skipped + math.ceil((stop - start) * wanted / stored)]
