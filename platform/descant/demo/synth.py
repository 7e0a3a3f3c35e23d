"""Sound from numbers: wavetable notes, drums and the colouring that differs from recording to recording.

All signals are float32 mono of shape (samples,). Letters: N samples, H harmonics, F frequency bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float32]
_TABLE = 1024


@dataclass(frozen=True)
class Instrument:
    """A timbre: slope of its harmonics in dB per octave, weak even harmonics if ``odd``; ``decay_s`` 0: it sustains."""

    slope_db: float
    odd: bool
    attack_s: float
    decay_s: float
    release_s: float


INSTRUMENTS: dict[str, Instrument] = {
    "pluck": Instrument(-7.0, False, 0.003, 0.25, 0.05),
    "piano": Instrument(-9.0, False, 0.005, 0.7, 0.08),
    "bell": Instrument(-8.0, True, 0.003, 0.9, 0.2),
    "organ": Instrument(-8.0, True, 0.02, 0.0, 0.04),
    "reed": Instrument(-6.0, True, 0.03, 0.0, 0.05),
    "flute": Instrument(-13.0, False, 0.06, 0.0, 0.08),
    "saw": Instrument(-6.0, False, 0.008, 0.6, 0.05),
    "pad": Instrument(-9.0, False, 0.25, 0.0, 0.3),
    "bass": Instrument(-10.0, False, 0.006, 0.8, 0.04),
}


class Synthesizer:
    """Adds notes and drum hits to one mix of ``seconds`` at ``rate_hz``; ``rng`` colours its instruments."""

    def __init__(self, seconds: float, rate_hz: int, rng: np.random.Generator) -> None:
        self.rate_hz = rate_hz
        self.mix: Signal = np.zeros(round(seconds * rate_hz), np.float32)
        self._rng = rng
        self._brightness_db = rng.uniform(-3.0, 3.0)
        self._tables: dict[tuple[str, int], Signal] = {}
        self._drums = {name: make(rate_hz, rng) for name, make in _DRUMS.items()}

    def note(self, instrument: str, pitch: int, start_s: float, seconds: float, gain: float) -> None:
        """Add one note; ``pitch`` is a MIDI number (69 is 440 Hz). What lies before 0 s or beyond the end is cut."""
        kind = INSTRUMENTS[instrument]
        held = max(round(seconds * self.rate_hz), 1)
        count = held + round(kind.release_s * self.rate_hz)
        start = round(start_s * self.rate_hz)
        if start >= len(self.mix) or start + count <= 0:
            return
        frequency_hz = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
        phase_N = np.arange(count, dtype=np.float32) * np.float32(frequency_hz * _TABLE / self.rate_hz)
        wave_N = self._table(instrument, frequency_hz)[phase_N.astype(np.int32) & (_TABLE - 1)]
        self._add(start, np.float32(gain) * wave_N * _envelope(kind, count, held, self.rate_hz))

    def drum(self, name: str, start_s: float, gain: float) -> None:
        """Add one hit of ``kick``, ``snare`` or ``hat``."""
        self._add(round(start_s * self.rate_hz), np.float32(gain) * self._drums[name])

    def _add(self, start: int, sound_N: Signal) -> None:
        heard_N = sound_N[max(-start, 0) : max(len(self.mix) - start, 0)]
        start = max(start, 0)
        self.mix[start : start + len(heard_N)] += heard_N

    def _table(self, instrument: str, frequency_hz: float) -> Signal:
        """One cycle (1024,) of unit RMS without harmonics above Nyquist, kept per number of harmonics."""
        kind = INSTRUMENTS[instrument]
        harmonics = int(min(24, max(1, 0.48 * self.rate_hz / frequency_hz)))
        if (instrument, harmonics) not in self._tables:
            number_H = np.arange(1, harmonics + 1)
            amplitude_H = number_H ** ((kind.slope_db + self._brightness_db) / 6.02)
            if kind.odd:
                amplitude_H[1::2] *= 0.1
            spectrum_F = np.zeros(_TABLE // 2 + 1, np.complex128)
            # phases at random: a table of pure sines would click at each onset with all harmonics in step
            spectrum_F[1 : harmonics + 1] = amplitude_H * np.exp(2j * np.pi * self._rng.random(harmonics))
            table = np.fft.irfft(spectrum_F)
            self._tables[instrument, harmonics] = (table / np.sqrt(np.mean(table**2))).astype(np.float32)
        return self._tables[instrument, harmonics]


def _envelope(kind: Instrument, count: int, held: int, rate_hz: int) -> Signal:
    envelope_N = np.ones(count, np.float32)
    if kind.decay_s > 0:
        envelope_N = np.exp(np.arange(count, dtype=np.float32) * np.float32(-1.0 / (kind.decay_s * rate_hz)))
    attack = min(round(kind.attack_s * rate_hz), count)
    envelope_N[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)
    if count > held:
        release = round(kind.release_s * rate_hz)
        envelope_N[held:] *= np.linspace(1, 0, release, dtype=np.float32)[: count - held]
    return envelope_N


def _kick(rate_hz: int, rng: np.random.Generator) -> Signal:
    time_N = np.arange(round(0.25 * rate_hz)) / rate_hz
    low_hz, drop_hz = rng.uniform(42, 60), rng.uniform(60, 140)
    phase_N = 2 * np.pi * (low_hz * time_N - drop_hz * 0.03 * np.exp(-time_N / 0.03))
    return np.asarray(2.5 * np.sin(phase_N) * np.exp(-time_N / 0.09), np.float32)


def _snare(rate_hz: int, rng: np.random.Generator) -> Signal:
    time_N = np.arange(round(0.2 * rate_hz)) / rate_hz
    tone_N = np.sin(2 * np.pi * rng.uniform(160, 230) * time_N) * np.exp(-time_N / 0.05)
    noise_N = rng.standard_normal(len(time_N)) * np.exp(-time_N / rng.uniform(0.03, 0.08))
    return np.asarray(0.8 * tone_N + 0.7 * noise_N, np.float32)


def _hat(rate_hz: int, rng: np.random.Generator) -> Signal:
    time_N = np.arange(round(0.12 * rate_hz)) / rate_hz
    noise_N = np.diff(rng.standard_normal(len(time_N) + 1))  # the difference is a simple high-pass
    return np.asarray(0.35 * noise_N * np.exp(-time_N / rng.uniform(0.01, 0.04)), np.float32)


_DRUMS = {"kick": _kick, "snare": _snare, "hat": _hat}


def master(mix: Signal, rate_hz: int, rng: np.random.Generator, silence: float = 0.05) -> Signal:
    """Return the mix as a recording of its own: noise, random equaliser and tilt, echo, limiter and level.

    ``silence`` is the smallest RMS that is still scaled up. The result lies within (-1, 1).
    """
    signal_N = mix / np.float32(max(float(np.sqrt(np.mean(mix**2))), silence))
    signal_N += np.float32(10 ** (rng.uniform(-45, -15) / 20)) * rng.standard_normal(len(mix), dtype=np.float32)
    frequency_hz_F = np.fft.rfftfreq(len(mix), 1 / rate_hz)
    octave_F = np.log2(np.maximum(frequency_hz_F, 40.0) / 40.0)
    knots = np.linspace(0, octave_F[-1], 9)
    gain_db_F = np.interp(octave_F, knots, rng.normal(0, 5, len(knots)))
    gain_db_F += rng.uniform(-4, 2) * (octave_F - octave_F[-1] / 2)
    delay_s, feedback = rng.uniform(0.02, 0.09), rng.uniform(0, 0.5)
    echo_F = 1 / (1 - feedback * np.exp(-2j * np.pi * delay_s * frequency_hz_F))
    coloured_N = np.fft.irfft(np.fft.rfft(signal_N) * 10 ** (gain_db_F / 20) * echo_F, len(mix))
    coloured_N /= max(float(np.sqrt(np.mean(coloured_N**2))), 1e-9)
    level = 10 ** (rng.uniform(-24, -10) / 20)
    return np.asarray(np.tanh(level * coloured_N), np.float32)
