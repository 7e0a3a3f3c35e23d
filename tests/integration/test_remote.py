"""A data set in an object store: moto's S3 server on loopback, in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

import s3_server
from descant.data.blocks import block_order
from descant.data.cache import ShardCache
from descant.data.description import describe
from descant.data.objects import Retries
from descant.data.reader import SplitReader
from descant.data.remote import RemoteFolder
from descant.errors import RunError, UserError
from support import npy, write_shard

SHARDS, SAMPLES, WINDOW = 6, 5, 2
URL = "s3://bucket/music/set"


class S3:
    """moto's server, which holds the files of a folder each time it starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self) -> None:
        command = [sys.executable, s3_server.__file__, str(self.folder), "music/set", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self) -> None:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, "moto's server ended"
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "set"
    rng = np.random.default_rng(0)
    for shard in range(SHARDS):
        samples = {f"{shard}-{i}": {"npy": npy(rng.normal(size=500)), "json": b'{"n": 1}'} for i in range(SAMPLES)}
        write_shard(folder / f"train-{shard:06d}.tar", samples)
    describe(folder).write(folder)
    return folder


@pytest.fixture
def s3(packed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    server = S3(packed)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    server.start()
    server.wait()
    yield server
    server.kill()


class Members(Dataset[bytes]):
    """The npy members of a reader."""

    def __init__(self, reader: SplitReader) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, sample: int) -> bytes:
        self.reader.prefetch(range(sample, min(sample + SAMPLES, len(self))))
        member = self.reader.member(sample, "npy")
        assert member is not None
        return member


def _local(packed: Path) -> list[bytes]:
    reader = SplitReader(packed, describe(packed), "train")
    try:
        return [reader.member(sample, "npy") or b"" for sample in range(len(reader))]
    finally:
        reader.close()


def _cached(cache: ShardCache) -> int:
    return len(list(cache.folder.rglob("*.tar")))


def test_loader_processes_read_the_same_samples(s3: S3, packed: Path, tmp_path: Path) -> None:
    folder = RemoteFolder(URL, ShardCache(tmp_path, 10**9))
    assert describe(folder) == describe(packed)
    reader = SplitReader(folder, describe(folder), "train")
    loader = DataLoader(Members(reader), batch_size=None, num_workers=2, collate_fn=bytes)
    assert list(loader) == _local(packed)
    assert _cached(folder.cache) == SHARDS
    reader.close()


def test_a_server_that_comes_back_in_mid_epoch_loses_nothing(s3: S3, packed: Path, tmp_path: Path) -> None:
    folder = RemoteFolder(URL, ShardCache(tmp_path, 10**9), Retries(tries=8, first_wait_s=0.2))
    reader = SplitReader(folder, describe(folder), "train")
    sizes = [len(index) for index in reader.indexes]
    order = block_order(0, 0, "f", sizes, WINDOW).tolist()
    expected, read = _local(packed), []
    restart = threading.Timer(1.0, s3.start)
    for place, sample in enumerate(order):
        if place == len(order) // 2:
            assert _cached(folder.cache) < SHARDS
            s3.kill()
            restart.start()
        read.append(reader.member(sample, "npy"))
    restart.join()
    assert read == [expected[sample] for sample in order]
    reader.close()


def test_a_server_that_does_not_come_back_ends_the_run(s3: S3, tmp_path: Path) -> None:
    folder = RemoteFolder(URL, ShardCache(tmp_path, 10**9), Retries(tries=2, first_wait_s=0.01))
    reader = SplitReader(folder, describe(folder), "train")
    s3.kill()
    with pytest.raises(RunError, match=r"s3://bucket/music/set/train-000000.tar could not be read in 2 tries"):
        reader.member(0, "npy")
    assert _cached(folder.cache) == 0 and not list(tmp_path.rglob("*.download"))


def test_a_shard_that_is_replaced_during_a_run_is_noticed(s3: S3, tmp_path: Path) -> None:
    folder = RemoteFolder(URL, ShardCache(tmp_path, 10**9))
    reader = SplitReader(folder, describe(folder), "train")
    client = boto3.client("s3")
    content = bytearray((s3.folder / "train-000001.tar").read_bytes())
    content[600] ^= 1
    client.put_object(Bucket="bucket", Key="music/set/train-000001.tar", Body=bytes(content))
    client.close()
    assert reader.member(0, "npy")
    with pytest.raises(RunError, match=r"set/train-000001.tar has changed on the server"):
        reader.member(SAMPLES, "npy")
    reader.close()


def test_what_is_not_there_is_said(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("s3://bucket/other", "s3://nobody/set"):
        folder = RemoteFolder(url, ShardCache(tmp_path, 10**9))
        assert not folder.exists()
        with pytest.raises(UserError, match=f"there is no data set in '{url}'"):
            describe(folder)


def test_missing_credentials_are_said_at_once(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, os.devnull)
    with pytest.raises(UserError, match="the server refuses s3://bucket/music/set/dataset.json .*AWS_PROFILE"):
        describe(RemoteFolder(URL, ShardCache(tmp_path, 10**9)))
