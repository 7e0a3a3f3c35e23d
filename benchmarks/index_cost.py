"""What an index costs: to build, to hold in memory, and to open at the start of a run.

    python benchmarks/index_cost.py [--shards 1000] [--samples 1000] [--save]

prints one line of JSON. Building is CPU time per sample of 11 KB (two members). For the rest there are many shards of
small samples (2 KB, keys of ten characters), since an index does not depend on the sizes of members. Memory is the
proportional share (PSS) that two processes, which have opened all indexes and touched every page, have together, less
that of two processes without. The cold start is a new process, with and without its imports. The shards are one
file under many names, so ten million samples (--samples 10000) take 20 MB of disk and some minutes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import save

from descant.data.index import build_index, load_indexes

COLD = """
import sys, time
start_s = time.perf_counter()
from descant.data.description import describe
from descant.data.reader import SplitReader
imported_s = time.perf_counter()
reader = SplitReader(sys.argv[1], describe(sys.argv[1]), "train")
batch = [reader.member(sample, "jpg") for sample in range(0, len(reader), max(1, len(reader) // 32))]
print(imported_s - start_s, time.perf_counter() - imported_s)
"""
MEMORY = """
import gc, sys
from pathlib import Path
from descant.data.index import load_indexes
paths = sorted(Path(sys.argv[1]).glob("*.tar"))
indexes = load_indexes(paths[: int(sys.argv[2])])
columns = [column for index in indexes for part in (index.offsets, index.sizes) for column in part.values()]
columns += [part for index in indexes for part in (index.keys.text, index.keys.ends)]
sum(int(column.sum()) for column in columns)
gc.collect()
print("ready", flush=True)
sys.stdin.readline()
print(next(line.split()[1] for line in open("/proc/self/smaps_rollup") if line.startswith("Pss:")), flush=True)
sys.stdin.readline()
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=1000, help="of each shard")
    parser.add_argument("--save", action="store_true", help="into the baselines of this kind of machine")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), args.shards, args.samples)
    print(json.dumps(result))
    if args.save:
        save("index_cost", result)


def measure(folder: Path, shards: int, samples: int) -> dict[str, Any]:
    """Return the numbers; units are in their names."""
    big = write_shard(folder / "big.tar", 2000, 11_000)
    build_us = []
    for _ in range(5):
        start_s = time.process_time()
        build_index(big)
        build_us.append((time.process_time() - start_s) / 2000 * 1e6)
    data = folder / "data"
    write_data_set(data, shards, samples)
    start_s = time.perf_counter()
    load_indexes(sorted(data.glob("*.tar")))
    indexed_s = time.perf_counter() - start_s
    time.sleep(1.1)  # times of change that are this near are not trusted yet
    load_indexes(sorted(data.glob("*.tar")))
    cold = [run(COLD, data) for _ in range(5)]
    imports_s, opening_s = (sorted(values)[2] for values in zip(*cold, strict=True))
    bytes_two = 1024 * (pss_kib(data, shards) - pss_kib(data, 0))
    return {
        "build_us_per_11kb_sample": round(sorted(build_us)[2], 1), "shards": shards, "samples": shards * samples,
        "index_all_s": round(indexed_s, 2), "imports_s": round(imports_s, 2), "first_batch_s": round(opening_s, 3),
        "file_bytes_per_sample": round(sum(one.stat().st_size for one in data.glob("*.npz")) / shards / samples, 1),
        "bytes_per_sample_of_two_processes": round(bytes_two / shards / samples, 1),
    }  # fmt: skip


def write_shard(path: Path, samples: int, size: int) -> Path:
    """Write a shard of pictures of ``size`` random bytes, with labels."""
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in range(samples):
            for extension, data in (("jpg", rng.bytes(size)), ("json", b'{"genre": 3}')):
                info = tarfile.TarInfo(f"{sample:010d}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def write_data_set(folder: Path, shards: int, samples: int) -> None:
    """Write a data set of equal shards with a ``dataset.json`` that names them."""
    folder.mkdir()
    names = [f"train-{number:06d}.tar" for number in range(shards)]
    first = write_shard(folder / names[0], samples, 200)
    for name in names[1:]:
        os.link(first, folder / name)
    fields = {"image": {"kind": "image", "extension": "jpg"}, "genre": {"kind": "class", "classes": list("abcd")}}
    description = {"format": 1, "name": "many", "fingerprint": "0" * 16, "fields": fields, "provenance": {}}
    splits = {"train": {"samples": shards * samples, "shards": names, "counts": {}}}
    (folder / "dataset.json").write_text(json.dumps({**description, "splits": splits}))


def run(script: str, data: Path) -> list[float]:
    """Return the numbers that a script prints in a new process."""
    done = subprocess.run([sys.executable, "-c", script, str(data)], check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def pss_kib(data: Path, shards: int) -> int:
    """Return the memory of two processes that hold the indexes of ``shards`` shards at the same time."""
    command = [sys.executable, "-c", MEMORY, str(data), str(shards)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in "ab"]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    total = 0
    for process in processes:  # both are there until both have been measured
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        total += int(process.stdout.readline())
    for process in processes:
        process.communicate("\n")
    return total


if __name__ == "__main__":
    main()
