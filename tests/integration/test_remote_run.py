"""A run whose shards come from an object store: the server is killed in mid-epoch, and nothing is lost or other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from descant.data.description import describe
from descant.launch.prepare import prepare
from descant.loop.checkpoints import Checkpoints
from descant.loop.ranks import Ranks
from descant.loop.worker import work
from integration.test_remote import S3, URL, s3  # noqa: F401  (the fixture)
from support import npy, write_shard

SHARDS, SAMPLES = 40, 4


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many small shards, so that most of them have not been fetched when the server goes."""
    folder, rng = tmp_path_factory.mktemp("packed") / "set", np.random.default_rng(0)
    for split, count in (("train", SHARDS), ("validation", 2), ("test", 2)):
        for shard in range(count):
            samples = {
                f"{split}-{shard}-{number}": {
                    "npy": npy(rng.normal(size=(20, 128)).clip(-1, 1).astype(np.float16)),
                    "json": json.dumps({"genre": (shard * SAMPLES + number) % 8}).encode(),
                }
                for number in range(SAMPLES)
            }
            write_shard(folder / f"{split}-{shard:06d}.tar", samples)
    describe(folder).write(folder)
    return folder


def train(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, should_stop: Callable[[], bool]
) -> dict[str, torch.Tensor]:
    """Train two epochs with a cache of its own; return the last weights."""
    monkeypatch.setenv("DESCANT_CACHE", str(folder / f"cache-{name}"))
    overrides = [f"data={URL}", f"run.dir={folder}", f"run.name={name}", "run=inline", "inputs.mel.crop_frames=16"]
    overrides += ["trainer.batch_size=4", "trainer.epochs=2", "trunk.hidden=[4]", "trainer.loader_workers=0"]
    launch = prepare("genre", overrides)
    work(launch.request, Ranks(), should_stop)
    launch.lock.release()
    summary = launch.folder.summary()
    assert summary is not None and summary["status"] == "finished"
    assert summary["data"] == {"consumed": 2 * SHARDS * SAMPLES, "quarantined": 0, "passes": 2.0}
    last = Checkpoints(launch.folder.checkpoints).load("last")
    assert last is not None
    return last.model


def test_a_server_that_is_killed_in_mid_epoch_changes_nothing(
    s3: S3,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps, fetched = iter(range(10**6)), []

    def disturb() -> bool:
        if next(steps) == 10:
            fetched.append(len(list((tmp_path / "cache-disturbed").rglob("train-*.tar"))))
            s3.kill()
            threading.Timer(1.0, s3.start).start()
        return False

    disturbed = train(tmp_path, monkeypatch, "disturbed", disturb)
    whole = train(tmp_path, monkeypatch, "whole", lambda: False)
    assert fetched[0] < SHARDS, "the server went while it was needed"
    for name, value in whole.items():
        assert torch.equal(disturbed[name], value), name
