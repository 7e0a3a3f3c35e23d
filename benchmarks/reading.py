"""What reading a sample costs: this reader beside webdataset, litdata and mosaicml-streaming, on the same samples.

Each reader goes through an epoch in shuffled order in a process of its own, once to warm up and once measured, as CPU
time of the whole process (threads too). Rounds alternate over the readers; medians, and ratios within a round.

    python benchmarks/reading.py [--rounds 5] [--peers PYTHON]

PYTHON is an interpreter with webdataset 1.0.2, litdata and mosaicml-streaming; without it only webdataset is compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES, SHARD, SIZE = 8000, 1000, 11_000


def main() -> None:
    """Measure, print and save; or, as a child, read with one reader and print its cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=None)
    parser.add_argument("--child", nargs=2, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child is not None:
        reader, folder = args.child
        print(json.dumps(_cost_us(READERS[reader], Path(folder))))
        return
    from machine import save

    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), args.peers)
        result = _compare(Path(folder), args.rounds, args.peers)
    print(json.dumps(result, indent=1))
    print(f"saved in {save('reading', result)}")


def _compare(folder: Path, rounds: int, peers: str | None) -> dict[str, Any]:
    pythons = {"descant": sys.executable, "webdataset": sys.executable}
    if peers:
        pythons |= {"webdataset": peers, "litdata": peers, "mosaicml": peers}
    costs: dict[str, list[float]] = {name: [] for name in pythons}
    for number in range(rounds):
        for name in list(pythons)[:: 1 if number % 2 else -1]:
            child = [pythons[name], __file__, "--child", name, str(folder)]
            costs[name].append(float(_output(child)))
    ratios = {
        name: [theirs / ours for theirs, ours in zip(times, costs["descant"], strict=True)]
        for name, times in costs.items()
    }
    return {
        "samples": SAMPLES,
        "bytes": SIZE,
        "rounds": rounds,
        "cpu_us_per_sample": {name: round(statistics.median(times), 1) for name, times in costs.items()},
        "times_the_cost_of_descant": {
            name: {"median": round(statistics.median(of), 1), "least": round(min(of), 1), "most": round(max(of), 1)}
            for name, of in ratios.items()
        },
    }


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def _samples() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(0)
    for number in range(SAMPLES):
        yield f"{number:08d}", rng.bytes(SIZE)


def _write(folder: Path, peers: str | None) -> None:
    import webdataset

    (folder / "tars").mkdir()
    with webdataset.ShardWriter(str(folder / "tars" / "train-%06d.tar"), maxcount=SHARD, verbose=0) as writer:
        for key, content in _samples():
            writer.write({"__key__": key, "bin": content})
    if peers:
        _output([peers, "-c", f"{WRITE_PEERS}\nwrite({str(folder)!r}, {SAMPLES}, {SIZE}, {SHARD})\nprint('written')"])


WRITE_PEERS = """
import numpy as np, os

def write(folder, samples, size, shard):
    from litdata.streaming.writer import BinaryWriter
    from streaming import MDSWriter
    os.makedirs(folder + "/lit")
    rng = np.random.default_rng(0)
    contents = [rng.bytes(size) for _ in range(samples)]
    writer = BinaryWriter(folder + "/lit", chunk_size=shard)
    for number, content in enumerate(contents):
        writer.add_item(number, {"bin": content})
    writer.done()
    writer.merge()
    with MDSWriter(out=folder + "/mds", columns={"bin": "bytes"}, size_limit=shard * size) as writer:
        for content in contents:
            writer.write({"bin": content})
"""


def _descant(folder: Path) -> Callable[[int], Iterator[int]]:
    from descant.data.description import Description, Split
    from descant.data.folder import open_folder
    from descant.data.order import TrainingOrder
    from descant.data.sources import JoinedReader, Source

    shards = tuple(sorted(path.name for path in (folder / "tars").glob("*.tar")))
    described = Description("x", {}, {"train": Split(SAMPLES, shards)}, "f")
    reader = JoinedReader([Source("", open_folder(folder / "tars"), described)], "train")  # as the loop reads
    order = TrainingOrder.of_one(0, "f", len(reader), 32)

    def epoch(number: int) -> Iterator[int]:
        for batch in range(order.batches):
            samples = order.slice(number, batch).samples
            for sample in samples.tolist():
                content = reader.member(sample, "bin")
                yield len(content or b"")
            reader.check_unchanged(samples)

    return epoch


def _webdataset(folder: Path) -> Callable[[int], Iterator[int]]:
    import webdataset

    shards = sorted(str(path) for path in (folder / "tars").glob("*.tar"))
    data = webdataset.WebDataset(shards, shardshuffle=len(shards), seed=0).shuffle(1000)
    return lambda number: (len(sample["bin"]) for sample in data)


def _litdata(folder: Path) -> Callable[[int], Iterator[int]]:
    from litdata import StreamingDataset

    data = StreamingDataset(str(folder / "lit"), shuffle=True, seed=0)
    return lambda number: (len(sample["bin"]) for sample in data)


def _mosaicml(folder: Path) -> Callable[[int], Iterator[int]]:
    from streaming import StreamingDataset

    data = StreamingDataset(local=str(folder / "mds"), shuffle=True, batch_size=32)
    return lambda number: (len(sample["bin"]) for sample in data)


READERS = {"descant": _descant, "webdataset": _webdataset, "litdata": _litdata, "mosaicml": _mosaicml}


def _cost_us(reader: Callable[[Path], Callable[[int], Iterator[int]]], folder: Path) -> float:
    """Return the CPU time in µs per sample of the second epoch."""
    epoch = reader(folder)
    assert sum(epoch(0)) == SAMPLES * SIZE
    before_s = time.process_time()
    assert sum(epoch(1)) == SAMPLES * SIZE
    return (time.process_time() - before_s) / SAMPLES * 1e6


if __name__ == "__main__":
    main()
