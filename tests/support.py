"""Small data sets that tests make, and processes that they start."""

from __future__ import annotations

import functools
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from PIL import Image

from gloo import run_on_ranks

GENRES = 8


def write_shard(path: Path, samples: Mapping[str, Mapping[str, bytes]]) -> None:
    """Write a tar by webdataset's writer, key → extension → bytes: the same bytes, so the same order, at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(path), mtime=0.0) as writer:
        for key, members in samples.items():
            writer.write({"__key__": key, **members})


def npy(array: np.ndarray) -> bytes:
    """Return an array as the bytes of an npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def mel_data_set(
    folder: Path,
    *,
    train: int = 48,
    validation: int = 16,
    test: int = 16,
    frames: int = 80,
    bands: int = 128,
    labels: Callable[[int, int], dict[str, Any]] = lambda number, genre: {"genre": genre},
) -> Path:
    """Write ready mels whose spectrum tells one of eight genres, as any WebDataset writer would."""
    for split, (size, seed) in {"train": (train, 0), "validation": (validation, 1), "test": (test, 2)}.items():
        rng = np.random.default_rng(seed)
        samples = {}
        for number in range(size):
            genre = number % GENRES
            tone = 0.4 * np.sin(np.arange(bands) * (genre + 1) / 10)
            mel_TM = np.clip(0.3 * rng.normal(size=(frames, bands)) - 0.4 + tone, -1, 1).astype(np.float16)
            samples[f"{split}{number:05d}"] = {"npy": npy(mel_TM), "json": json.dumps(labels(number, genre)).encode()}
        write_shard(folder / f"{split}-000000.tar", samples)
    return folder


def train_on_ranks(recipe: str, overrides: list[str], world_sizes: Sequence[int]) -> dict[int, Path]:
    """Train once with each number of real processes, joined by gloo on loopback; return the run folders."""
    return train_all_on_ranks(recipe, {"on": overrides}, world_sizes)["on"]


def train_all_on_ranks(
    recipe: str, runs: Mapping[str, list[str]], world_sizes: Sequence[int]
) -> dict[str, dict[int, Path]]:
    """Train runs by name as ``train_on_ranks`` does, one after the other in the same processes."""
    from descant.launch.prepare import prepare

    launches = {
        size: {name: prepare(recipe, [*overrides, f"run.name={name}-{size}"]) for name, overrides in runs.items()}
        for size in world_sizes
    }
    requests = {size: [launch.request.to_json() for launch in made.values()] for size, made in launches.items()}
    run_on_ranks(world_sizes, functools.partial(_work, requests))
    return {name: {size: launches[size][name].folder.path for size in world_sizes} for name in runs}


def train_with_a_stop(recipe: str, overrides: list[str], before_step: int, at_first: Sequence[str] = ()) -> Path:
    """Train until ``before_step``, stop as Ctrl-C does, run the command again, and return the run folder.

    ``at_first`` overrides until the stop alone.
    """
    from descant import train
    from descant.launch.prepare import prepare
    from descant.loop.ranks import Ranks
    from descant.loop.worker import work

    asked = iter(range(10**9))
    launch = prepare(recipe, [*overrides, *at_first])
    work(launch.request, Ranks(), lambda: next(asked) >= before_step)
    launch.lock.release()
    summary = launch.folder.summary()
    assert summary is not None and summary["status"] == "interrupted"
    return train(recipe, overrides).folder


def last_weights(run: Path) -> dict[str, Any]:
    """Return the weights of a run's last checkpoint by name."""
    from descant.loop.checkpoints import Checkpoints

    last = Checkpoints(run / "checkpoints").load("last")
    assert last is not None
    return last.model


def check_ranks_and_a_resume(recipe: str, overrides: list[str], before_step: int) -> None:
    """Assert that two ranks learn what one does, and a stopped run what an undisturbed one does, bit for bit.

    Plain SGD, since Adam makes steps of gradients that are rounding alone.
    """
    import torch

    from descant import train

    settings = [*overrides, "optimizer={name: sgd, lr: 0.1}"]
    runs = train_on_ranks(recipe, settings, (1, 2))
    stopped = train_with_a_stop(recipe, [*settings, "run.name=stopped"], before_step)
    whole = train(recipe, [*settings, "run.name=whole"]).folder
    one, two, resumed, undisturbed = map(last_weights, (runs[1], runs[2], stopped, whole))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5, msg=name)
        assert torch.equal(resumed[name], undisturbed[name]), name


def _work(requests: dict[int, list[str]], rank: int, world_size: int) -> None:
    from descant.loop.ranks import Ranks
    from descant.loop.worker import work
    from descant.run.request import RunRequest

    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}
    os.environ.update({name: str(value) for name, value in place.items()})
    for request in requests[world_size]:
        work(RunRequest.from_json(request), Ranks(rank, world_size, rank, world_size), lambda: False)


def image_data_set(folder: Path, *, train: int = 40, validation: int = 13, size: int = 24) -> Path:
    """Write grey pictures of one of four brightnesses with the place of a bright square as landmarks."""
    for split, (count, seed) in {"train": (train, 0), "validation": (validation, 1)}.items():
        rng = np.random.default_rng(seed)
        samples = {}
        for number in range(count):
            corner = rng.integers(2, size - 8, 2)
            picture = np.clip(40 * (number % 4) + rng.normal(0, 10, (size, size)), 0, 180).astype(np.uint8)
            picture[corner[1] : corner[1] + 4, corner[0] : corner[0] + 6] = 255
            x, y = (int(place) for place in corner)
            labels = {"landmarks": [[x, y], [x + 6, y]], "shade": number % 4}
            if number % 3 == 0:
                del labels["shade"]
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "PNG")
            samples[f"{split}{number:05d}"] = {"png": buffer.getvalue(), "json": json.dumps(labels).encode()}
        write_shard(folder / f"{split}-000000.tar", samples)
    return folder
