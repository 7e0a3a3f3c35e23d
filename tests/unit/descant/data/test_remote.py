"""Data sets behind URLs: in memory, and on a web server that fails in every way."""

from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pytest

from descant.data.cache import ShardCache
from descant.data.description import Description, Split, describe
from descant.data.folder import open_folder
from descant.data.index import load_index, write_index
from descant.data.objects import Objects, Retries
from descant.data.reader import SplitReader
from descant.data.remote import RemoteFolder
from descant.errors import RunError, UserError
from shard_server import QUICK, ShardServer, all_samples, read_in_process, serving
from support import mel_data_set, write_shard

TRAIN = "train-000000.tar"
INDEX = f"{TRAIN}.index.npz"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with indexes and ``dataset.json``."""
    folder = mel_data_set(tmp_path_factory.mktemp("packed") / "set", train=12, validation=4, test=4, frames=10)
    describe(folder).write(folder)
    return folder


@pytest.fixture
def server(packed: Path) -> Iterator[ShardServer]:
    with serving(packed) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> ShardCache:
    return ShardCache(tmp_path / "cache", 10**9)


def _left(cache: ShardCache) -> list[str]:
    return sorted(path.name for path in cache.folder.rglob("*") if path.is_file() and path.name != "lock")


def test_memory_gives_the_same_samples(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESCANT_CACHE", str(tmp_path))
    memory = fsspec.filesystem("memory")
    memory.put(str(packed), "/bucket/set", recursive=True)
    try:
        assert describe("memory://bucket/set") == describe(packed)
        assert all_samples("memory://bucket/set") == all_samples(packed)
        memory.rm("/bucket/set/dataset.json")
        inferred = describe("memory://bucket/set/")
        assert (inferred.name, inferred.fingerprint) == ("set", describe(packed).fingerprint)
        assert not open_folder("memory://bucket/other").exists()
    finally:
        memory.rm("/bucket", recursive=True)


def test_a_web_server_gives_the_same_samples(packed: Path, server: ShardServer, cache: ShardCache) -> None:
    assert all_samples(RemoteFolder(server.url, cache, QUICK)) == all_samples(packed)
    assert server.gets[TRAIN] == 1 and server.gets["test-000000.tar"] == 0
    assert all_samples(RemoteFolder(server.url, cache, QUICK)) == all_samples(packed)
    assert server.gets[TRAIN] == server.gets[INDEX] == 1


def test_shards_without_description_and_indexes(packed: Path, server: ShardServer, cache: ShardCache) -> None:
    server.files = {name: content for name, content in server.files.items() if name.endswith(".tar")}
    folder = RemoteFolder(server.url, cache, QUICK)
    assert folder.exists() and describe(folder).fields == describe(packed).fields
    assert all_samples(folder) == all_samples(packed)
    assert server.gets[TRAIN] == 1


def test_an_index_is_kept_when_its_shard_is_evicted(packed: Path, server: ShardServer, tmp_path: Path) -> None:
    del server.files[INDEX]
    room = len(server.files[TRAIN]) + 20_000
    for _ in range(2):
        folder = RemoteFolder(server.url, ShardCache(tmp_path, room), QUICK)
        assert all_samples(folder) == all_samples(packed)
        assert all_samples(folder, "validation") == all_samples(packed, "validation")
    assert server.gets[TRAIN] == server.gets["validation-000000.tar"] == 2
    assert _left(folder.cache) == [INDEX, "validation-000000.tar", "validation-000000.tar.index.npz"]


@pytest.mark.parametrize("answers", [[500, 503], ["cut"], ["short"], ["slow"], [429, "cut", 500]])
def test_what_passes_is_tried_again(
    packed: Path, server: ShardServer, cache: ShardCache, answers: list[int | str]
) -> None:
    server.answers[TRAIN] = [*answers]
    assert all_samples(RemoteFolder(server.url, cache, QUICK)) == all_samples(packed)
    assert server.answers[TRAIN] == []


def test_a_server_that_stops_sending_is_left(
    packed: Path, server: ShardServer, cache: ShardCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("descant.data.objects._STALL_S", 0.2)
    server.answers[TRAIN] = ["slow"]
    assert all_samples(RemoteFolder(server.url, cache, QUICK)) == all_samples(packed)
    assert server.gets[TRAIN] == 2


@pytest.mark.parametrize(("answer", "words"), [(503, "503"), ("cut", "Not enough data"), ("short", "it sent")])
def test_what_stays_ends_with_a_sentence(server: ShardServer, cache: ShardCache, answer: int | str, words: str) -> None:
    reader = SplitReader(RemoteFolder(server.url, cache, QUICK), describe(server.url), "train")
    server.answers[TRAIN] = [answer] * 100
    with pytest.raises(RunError, match=f"{TRAIN} could not be read in 4 tries .*{words}.*run the same command again"):
        reader.member(0, "npy")
    assert TRAIN not in _left(cache) and not list(cache.folder.rglob("*.download"))


def test_a_server_that_is_not_there_is_said(cache: ShardCache) -> None:
    with pytest.raises(RunError, match=r"127\.0\.0\.1:9/set/dataset.json could not be read in 4 tries"):
        describe(RemoteFolder("http://127.0.0.1:9/set", cache, QUICK))


@pytest.mark.parametrize(("status", "words"), [(403, "403, forbidden"), (401, "401, no valid credentials")])
def test_a_refusal_is_said_at_once(server: ShardServer, cache: ShardCache, status: int, words: str) -> None:
    server.answers["dataset.json"] = [status] * 2  # to HEAD, and to the GET that is tried instead
    with pytest.raises(UserError, match=rf"refuses {server.url}/dataset.json \({words}\): check the URL, and set"):
        describe(RemoteFolder(server.url, cache, Retries(tries=2, first_wait_s=1000.0)))


def test_a_missing_shard_is_named(server: ShardServer, cache: ShardCache) -> None:
    del server.files[TRAIN]
    folder = RemoteFolder(server.url, cache, QUICK)
    with pytest.raises(UserError, match=f"{server.url}/{TRAIN} that dataset.json names is missing: put it back"):
        SplitReader(folder, describe(folder), "train")


def test_a_missing_data_set_is_said(server: ShardServer, cache: ShardCache) -> None:
    server.files = {}
    folder = RemoteFolder(server.url, cache, QUICK)
    assert not folder.exists()
    with pytest.raises(UserError, match=f"there is no data set in '{server.url}'"):
        describe(folder)


def test_a_shard_that_goes_during_a_run_is_named(server: ShardServer, cache: ShardCache) -> None:
    folder = RemoteFolder(server.url, cache, QUICK)
    reader = SplitReader(folder, describe(folder), "train")
    del server.files[TRAIN]
    with pytest.raises(RunError, match=f"{TRAIN} has gone from the server: put it back"):
        reader.member(0, "npy")


def test_a_shard_that_changes_during_a_run_is_named(server: ShardServer, cache: ShardCache) -> None:
    folder = RemoteFolder(server.url, cache, QUICK)
    reader = SplitReader(folder, describe(folder), "train")
    content = bytearray(server.files[TRAIN])
    content[600] ^= 1
    server.files[TRAIN] = bytes(content)
    with pytest.raises(RunError, match=f"{TRAIN} has changed on the server since it was first looked at"):
        reader.member(0, "npy")
    assert _left(cache) == [INDEX]


def test_an_index_of_another_shard_is_noticed(packed: Path, server: ShardServer, cache: ShardCache) -> None:
    content = bytearray(server.files[TRAIN])
    content[600] ^= 1  # in a member's data: the size stays
    server.files[TRAIN] = bytes(content)
    folder = RemoteFolder(server.url, cache, QUICK)
    reader = SplitReader(folder, describe(folder), "train")
    with pytest.raises(RunError, match=f"the index beside {server.url}/{TRAIN} is of another shard: upload"):
        reader.member(0, "npy")
    assert _left(cache) == []


def test_an_index_that_lies_is_noticed(packed: Path, server: ShardServer, cache: ShardCache, tmp_path: Path) -> None:
    shutil.copy(packed / TRAIN, tmp_path)
    index = load_index(tmp_path / TRAIN)
    offsets = {**index.offsets, "npy": np.roll(index.offsets["npy"], 1)}
    server.files[INDEX] = write_index(dataclasses.replace(index, offsets=offsets, reopen=None)).read_bytes()
    folder = RemoteFolder(server.url, cache, QUICK)
    reader = SplitReader(folder, describe(folder), "train")
    with pytest.raises(RunError, match="is of another shard"):
        reader.member(0, "npy")


@pytest.mark.parametrize("kind", ["damaged", "other size", "pickle"])
def test_an_index_that_does_not_fit_is_built(
    packed: Path, server: ShardServer, cache: ShardCache, kind: str, tmp_path: Path
) -> None:
    other = mel_data_set(tmp_path / "other", train=5) / TRAIN
    load_index(other)
    contents = {
        "damaged": server.files[INDEX][:-100],
        "other size": other.with_name(INDEX).read_bytes(),
        "pickle": pickle.dumps([1]),
    }
    server.files[INDEX] = contents[kind]
    assert all_samples(RemoteFolder(server.url, cache, QUICK)) == all_samples(packed)


def test_damage_is_refused_as_locally(server: ShardServer, cache: ShardCache) -> None:
    server.files[TRAIN] = server.files[TRAIN][:50_000]
    folder = RemoteFolder(server.url, cache, QUICK)
    with pytest.raises(UserError, match=f"the shard '{TRAIN}' is not whole"):
        SplitReader(folder, describe(folder), "train")


def test_names_do_not_become_other_urls(server: ShardServer, cache: ShardCache) -> None:
    folder = RemoteFolder(server.url, cache, QUICK)
    for name in ("%2e%2e%2fsecret.tar", "a.tar?x=1", "a.tar#b", "../a.tar"):
        described = Description("x", {}, {"train": Split(1, (name,))}, "f")
        with pytest.raises(UserError, match="names the shard"):
            SplitReader(folder, described, "train")
    assert not server.gets


def test_processes_share_one_download(packed: Path, server: ShardServer, tmp_path: Path) -> None:
    server.answers[TRAIN] = ["slow"]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=context) as pool:
        work = [pool.submit(read_in_process, server.url, tmp_path, 10**9) for _ in range(3)]
        found = [one.result() for one in work]
    assert found == [all_samples(packed)] * 3
    assert server.gets[TRAIN] == 1


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six shards of the same size, without indexes."""
    folder, rng = tmp_path_factory.mktemp("several") / "set", np.random.default_rng(0)
    for shard in range(6):
        samples = {f"{shard}-{number}": {"npy": rng.bytes(5000)} for number in range(4)}
        write_shard(folder / f"train-{shard:06d}.tar", samples)
    return folder


def test_processes_share_a_cache_that_is_too_small(several: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with serving(several) as server, ProcessPoolExecutor(3, mp_context=context) as pool:
        room = 3 * len(server.files[TRAIN]) + 25_000  # a shard for each, and the indexes
        work = [pool.submit(read_in_process, server.url, tmp_path, room, 1) for _ in range(6)]
        found = [one.result() for one in work]
        assert found == [all_samples(several)] * 6
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= room
        assert not list(tmp_path.rglob("*.download"))


def test_a_cache_of_one_shard_serves_several(several: Path, tmp_path: Path) -> None:
    with serving(several) as server:
        folder = RemoteFolder(server.url, ShardCache(tmp_path, len(server.files[TRAIN]) + 25_000), QUICK)
        folder.max_open = 1
        assert all_samples(folder) == all_samples(several)


def test_readers_that_keep_all_shards_open_share_a_cache_without_room_for_them(several: Path, tmp_path: Path) -> None:
    """Two readers of one process go through the shards in turn: each lets go of what the other needs the room of."""
    with serving(several) as server:
        room = 2 * len(server.files[TRAIN]) + 25_000
        folder = RemoteFolder(server.url, ShardCache(tmp_path, room, patience_s=0.2), QUICK)
        readers = [SplitReader(folder, describe(folder), "train") for _ in range(2)]
        expected = [member for _, member, _ in all_samples(several)]
        for sample in range(len(expected)):
            for reader, own in zip(readers, (sample, len(expected) - 1 - sample), strict=True):
                assert reader.member(own, "npy") == expected[own]
        assert folder.max_open > 6
        for reader in readers:
            reader.close()


def test_many_threads_download_into_one_cache(several: Path, tmp_path: Path) -> None:
    for attempt in range(10):
        with serving(several) as server:
            folder = RemoteFolder(server.url, ShardCache(tmp_path / str(attempt), 10**9), QUICK)
            indexes = folder.indexes([path.name for path in sorted(several.glob("*.tar"))])
            assert [len(index.keys) for index in indexes] == [4] * 6


def test_a_cache_that_is_taken_away_is_not_blamed_on_the_server(server: ShardServer, tmp_path: Path) -> None:
    objects = Objects(server.url, QUICK)
    stat = objects.stat(TRAIN)
    assert stat is not None
    with pytest.raises(
        RunError, match=r"train-000000.tar' cannot be written \(No such file or directory\).*DESCANT_CACHE"
    ):
        objects.download(TRAIN, stat, tmp_path / "gone" / TRAIN)


def test_prefetch_brings_shards_before_they_are_read(packed: Path, server: ShardServer, cache: ShardCache) -> None:
    folder = RemoteFolder(server.url, cache, QUICK)
    reader = pickle.loads(pickle.dumps(SplitReader(folder, describe(folder), "train")))
    assert reader.is_remote and not SplitReader(packed, describe(packed), "train").is_remote
    reader.prefetch(np.arange(3))
    reader.prefetch(np.arange(2))
    reader.close()
    assert reader.member(0, "npy") == all_samples(packed)[0][1]
    assert server.gets[TRAIN] == 1
    reader.close()


def test_prefetch_brings_again_what_was_read_and_evicted(several: Path, tmp_path: Path) -> None:
    with serving(several) as server:
        folder = RemoteFolder(server.url, ShardCache(tmp_path, len(server.files[TRAIN]) + 25_000), QUICK)
        folder.max_open = 1
        reader = SplitReader(folder, describe(folder), "train")
        expected = [member for _, member, _ in all_samples(several)]
        for sample in (0, 4, 8, 0, 4, 8):
            reader.prefetch([sample])
            assert reader.member(sample, "npy") == expected[sample]
        reader.close()


def test_what_fails_in_prefetch_is_said_at_the_read(server: ShardServer, cache: ShardCache) -> None:
    folder = RemoteFolder(server.url, cache, QUICK)
    reader = SplitReader(folder, describe(folder), "train")
    del server.files[TRAIN]
    reader.prefetch([0])
    with pytest.raises(RunError, match="has gone from the server"):
        reader.member(0, "npy")
    reader.close()


def test_waits_double() -> None:
    assert list(Retries().waits_s()) == [2.0, 4.0, 8.0, 16.0]


def test_files_too_large_to_be_small_are_not_read(server: ShardServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descant.data.objects._MAX_READ_BYTES", 10)
    with pytest.raises(UserError, match="bytes: 10 are allowed"):
        Objects(server.url, QUICK).read("dataset.json")
