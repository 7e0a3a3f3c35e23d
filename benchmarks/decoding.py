"""What a decoded sample costs, from the tar to the stacked batch, beside the bare decoder on the same bytes.

JPEG 178 × 218 → 112²: against simplejpeg and PIL's resize alone. FLAC, 10 s at 22.05 kHz → log-mel: by itself.
Blocks alternate; CPU time of one thread; medians.

    python benchmarks/decoding.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import soundfile
import torch
import webdataset
from machine import cpu_ms, save
from PIL import Image

from descant.data.order import EvaluationOrder
from descant.data.sources import DataSets
from descant.inputs import inputs
from descant.loop.batches import BatchMaker
from descant.recipe import DataSettings

PICTURES, CLIPS, BATCH, SIDE = 512, 48, 32, 112
SECONDS, RATE_HZ = 10, 22_050


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        jpegs, flacs = _jpegs(), _flacs()
        pictures = _maker(Path(folder) / "pictures", "jpg", jpegs, {"image": {"size": SIDE}})
        clips = _maker(Path(folder) / "clips", "flac", flacs, {"mel": {"rate_hz": RATE_HZ, "where": "loader"}})
        result = _measure(pictures, jpegs, clips, args.rounds)
    print(json.dumps(result, indent=1))
    print(f"saved in {save('decoding', result)}")


def _measure(pictures: BatchMaker, jpegs: list[bytes], clips: BatchMaker, rounds: int) -> dict[str, Any]:
    ours_ms, bare_ms, flac_ms = [], [], []
    for number in range(rounds):
        pair = (
            (ours_ms, lambda: _all_batches(pictures)),
            (bare_ms, lambda: [_bare(jpeg) for jpeg in jpegs]),
        )
        for times_ms, run in pair if number % 2 else reversed(pair):
            times_ms.append(cpu_ms(run) / PICTURES)
        flac_ms.append(cpu_ms(lambda: _all_batches(clips)) / CLIPS)
    pairs = [ours / bare for ours, bare in zip(ours_ms, bare_ms, strict=True)]
    return {
        "jpeg_ms": round(statistics.median(ours_ms), 4),
        "bare_jpeg_ms": round(statistics.median(bare_ms), 4),
        "jpeg_ratio": round(statistics.median(pairs), 3),
        "jpeg_ratio_quartiles": [round(quartile, 3) for quartile in statistics.quantiles(pairs, n=4)],
        "flac_to_mel_ms": round(statistics.median(flac_ms), 2),
        "rounds": rounds,
    }


def _all_batches(maker: BatchMaker) -> None:
    for place in maker.order.walk():  # type: ignore[call-arg]
        batch = maker.make(*place)
        assert not batch.bad


def _bare(jpeg: bytes) -> np.ndarray:
    picture = Image.fromarray(simplejpeg.decode_jpeg(jpeg, colorspace="RGB"))
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _maker(folder: Path, extension: str, members: list[bytes], chosen: dict[str, dict[str, Any]]) -> BatchMaker:
    folder.mkdir()
    with webdataset.TarWriter(str(folder / "test-000000.tar")) as writer:
        for number, member in enumerate(members):
            writer.write({"__key__": f"{number:06d}", extension: member})
    data = DataSets.open(DataSettings.parse(str(folder)))
    reader = data.reader("test")
    made = {
        name: inputs.build(name, options, name=name, fields=dict(data.description.fields))
        for name, options in chosen.items()
    }
    return BatchMaker(reader, EvaluationOrder(len(reader), BATCH), made, {})


def _jpegs() -> list[bytes]:
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(PICTURES):
        coarse = Image.fromarray(rng.integers(0, 255, (14, 11, 3), dtype=np.uint8))
        noisy = np.asarray(coarse.resize((178, 218), Image.Resampling.BICUBIC)) + rng.normal(0, 6, (218, 178, 3))
        buffer = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        pictures.append(buffer.getvalue())
    return pictures


def _flacs() -> list[bytes]:
    rng = np.random.default_rng(1)
    seconds = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    clips = []
    for _ in range(CLIPS):
        tones = sum(np.sin(2 * np.pi * pitch * seconds) for pitch in rng.uniform(80, 4000, 6)) / 12
        buffer = io.BytesIO()
        soundfile.write(buffer, tones + rng.normal(0, 0.02, seconds.shape), RATE_HZ, format="FLAC")
        clips.append(buffer.getvalue())
    return clips


if __name__ == "__main__":
    main()
