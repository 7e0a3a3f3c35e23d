"""Batches out of real tars: what is there is stacked, what is not is masked and named."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from webdataset import ShardWriter

from descant import Classification, Reconstruction, Regression, Task
from descant.data.batch import Batch
from descant.data.description import Description, Field, Split
from descant.data.folder import open_folder
from descant.data.order import EvaluationOrder, Order, TrainingOrder
from descant.data.reader import SplitReader
from descant.data.sources import JoinedReader, Source
from descant.errors import RunError, UserError
from descant.inputs import Input, MelInput
from descant.loop.batches import BatchMaker
from descant.loop.loader import load_batches
from support import npy

FRAMES, BANDS, SAMPLES = 6, 3, 11
FIELDS = {
    "mel": Field("array", "npy"),
    "genre": Field("class", classes=("a", "b", "c")),
    "age": Field("number"),
}
LABELS: dict[int, dict[str, Any] | bytes | None] = {
    1: {"genre": None, "age": 1.5},
    2: {"age": "old"},
    3: {"genre": 7, "age": 3},
    4: None,
    5: b"{not json",
    6: b"[1, 2]",
}


class Genre(Classification):
    label = "genre"


class Age(Regression):
    label = "age"


def mel_of(number: int) -> np.ndarray:
    return np.full((FRAMES, BANDS), number / 100, np.float16) + np.arange(FRAMES, dtype=np.float16)[:, None] / 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven samples in three shards; the seventh's mel is cut off, the eighth has none."""
    path = tmp_path_factory.mktemp("data")
    with ShardWriter(str(path / "train-%06d.tar"), maxcount=4, verbose=0) as writer:
        for number in range(SAMPLES):
            labels = LABELS.get(number, {"genre": number % 3, "age": number})
            sample: dict[str, Any] = {"__key__": f"clip{number:02d}", "npy": npy(mel_of(number))}
            if labels is not None:
                sample["json"] = labels if isinstance(labels, bytes) else json.dumps(labels).encode()
            if number == 7:
                sample["npy"] = sample["npy"][:-5]
            if number == 8:
                del sample["npy"]
            writer.write(sample)
    return path


def maker(folder: Path, order: Order, views: int = 2, crop: int = 4) -> BatchMaker:
    shards = tuple(sorted(file.name for file in folder.glob("train-*.tar")))
    description = Description("x", FIELDS, {"train": Split(SAMPLES, shards)}, "f")
    inputs: dict[str, Input] = {"mel": MelInput("mel", FIELDS, crop_frames=crop, bands=BANDS, views=views)}
    shapes = {"mel": inputs["mel"].shape}
    tasks: dict[str, Task] = {
        "genre": Genre("genre", FIELDS, shapes),
        "age": Age("age", FIELDS, shapes),
        "back": Reconstruction("back", FIELDS, shapes),
    }
    return BatchMaker(JoinedReader([Source("", open_folder(folder), description)], "train"), order, inputs, tasks)


def check(batch: Batch, views: int) -> None:
    """Every row of a batch holds what its key's sample holds."""
    value = batch.arrays["mel"]["value"]
    assert value.shape[0] == views * len(batch.keys)
    assert batch.complete == {(name,) for name in ("genre", "age") if batch.present[name].all()}
    for row, key in enumerate(batch.keys):
        number = int(key.removeprefix("clip"))
        readable = number not in (5, 6, 7, 8)
        assert not batch.valid[row] or readable
        assert bool(batch.present["back"][row]) == bool(batch.valid[row])
        teaches = {"genre": number not in (1, 2, 3, 4), "age": number not in (2, 4)}
        for task, does in teaches.items():
            assert bool(batch.present[task][row]) == (does and bool(batch.valid[row])), (key, task)
        if batch.present["genre"][row]:
            assert int(batch.targets["genre"][row]) == number % 3
        if batch.present["age"][row]:
            assert float(batch.targets["age"][row, 0]) == (1.5 if number == 1 else number)
        if readable:
            crops = value[row * views : (row + 1) * views]
            start = ((crops[:, 0, 0] - number / 100) * 10).round().long()
            for crop, first in zip(crops, start, strict=True):
                expected = torch.from_numpy(mel_of(number)[int(first) : int(first) + 4])
                assert torch.equal(crop, expected)


@pytest.mark.parametrize("views", [1, 2])
def test_an_evaluation_sees_every_sample_and_names_what_it_could_not_use(folder: Path, views: int) -> None:
    order = EvaluationOrder(SAMPLES, 4)
    made = maker(folder, order, views)
    batches = [made.make(*place) for place in order.walk()]
    for batch in batches:
        assert batch.views == views
        check(batch, views)
    assert [key for batch in batches for key in batch.keys] == [f"clip{number:02d}" for number in range(SAMPLES)]
    assert sum(int(batch.valid.sum()) for batch in batches) == SAMPLES - 4
    assert [len(batch.keys) for batch in batches] == [4, 4, 3]
    bad = {(one.key, one.stage): one for batch in batches for one in batch.bad}
    assert set(bad) == {
        ("clip02", "label"), ("clip03", "label"),
        ("clip05", "decode"), ("clip06", "decode"), ("clip07", "decode"), ("clip08", "decode"),
    }  # fmt: skip
    assert bad["clip02", "label"].error.startswith("age: age is 'old'")
    assert bad["clip03", "label"].error.startswith("genre: genre is 7: allowed are 0 to 2")
    assert bad["clip03", "label"].shard == "train-000000.tar"
    assert bad["clip08", "decode"].shard == "train-000002.tar"
    assert "no npy member" in bad["clip08", "decode"].error
    alone = EvaluationOrder(SAMPLES, 1)
    complete = [maker(folder, alone, views).make(*place).complete for place in alone.walk()]
    assert complete[0] == {("genre",), ("age",)} and complete[1] == {("age",)} and complete[5] == set()


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_training_rows_of_all_ranks_make_the_batch_of_one(folder: Path, views: int, ranks: int) -> None:
    orders = [TrainingOrder.of_one(0, "f", SAMPLES, 4, rank, ranks) for rank in range(ranks)]
    makers = [maker(folder, order, views) for order in orders]
    alone = maker(folder, TrainingOrder.of_one(0, "f", SAMPLES, 4), views)
    for place in orders[0].walk(0, 0, 6):
        parts = [made.make(*place) for made in makers]
        whole = alone.make(*place)
        for part in parts:
            check(part, 1)
        crops = {
            key: part.arrays["mel"]["value"][row]
            for part in parts
            for row, key in enumerate(part.keys)
            if bool(part.valid[row])
        }
        assert set(crops) == {key for row, key in enumerate(whole.keys) if bool(whole.valid[row])}
        for row, key in enumerate(whole.keys):
            if key in crops:
                assert torch.equal(crops[key], whole.arrays["mel"]["value"][row]), "the same crop on any rank"


def test_micro_batches_are_the_rows_of_the_batch(folder: Path) -> None:
    batch = maker(folder, EvaluationOrder(SAMPLES, SAMPLES), views=2).make(0, 0)
    parts = [batch.rows(start, start + 4) for start in range(0, SAMPLES, 4)]
    assert [len(part.keys) for part in parts] == [4, 4, 3]
    for part in parts:
        check(part, 2)
    for task in batch.present:
        assert torch.equal(torch.cat([part.present[task] for part in parts]), batch.present[task])
    assert torch.equal(torch.cat([part.arrays["mel"]["value"] for part in parts]), batch.arrays["mel"]["value"])
    assert batch.rows(0, 99) is batch
    assert batch.to(torch.device("cpu")).keys == batch.keys


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_processes_give_the_same_batches_in_the_same_order(folder: Path, workers: int) -> None:
    order = TrainingOrder.of_one(0, "f", SAMPLES, 4)
    made = maker(folder, order)
    loaded = list(load_batches(made, list(order.walk(0, 1, 4)), workers))
    for place, batch in zip(order.walk(0, 1, 4), loaded, strict=True):
        direct = made.make(*place)
        assert batch.keys == direct.keys
        assert torch.equal(batch.arrays["mel"]["value"], direct.arrays["mel"]["value"])
        assert batch.bad == direct.bad


def test_a_split_that_is_missing_or_lost_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    for splits, said in (({}, "no split 'train'"), ({"train": Split(1, ("none.tar",))}, "none.tar.* is missing")):
        with pytest.raises(UserError, match=said):
            SplitReader(folder, Description("x", FIELDS, splits, "f"), "train")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("way", ["gone", "changed"])
def test_what_cannot_be_read_is_one_sentence_whoever_reads(
    folder: Path, tmp_path: Path, workers: int, way: str
) -> None:
    data = shutil.copytree(folder, tmp_path / "data")
    order = TrainingOrder.of_one(0, "f", SAMPLES, SAMPLES)
    made, shard = maker(data, order), data / "train-000001.tar"
    if way == "gone":
        shard.unlink()
    else:
        scribble(shard)
    with pytest.raises(RunError, match=rf"^the shard '{shard}' (has )?{way} during the run: put it back and run"):
        list(load_batches(made, order.walk(0, 0, 1), workers))


def test_a_shard_that_is_written_to_while_it_is_open_is_noticed(folder: Path, tmp_path: Path) -> None:
    data = shutil.copytree(folder, tmp_path / "data")
    made = maker(data, TrainingOrder.of_one(0, "f", SAMPLES, SAMPLES))
    made.make(0, 0)
    scribble(data / "train-000000.tar")
    with pytest.raises(RunError, match="train-000000.tar' changed during the run"):
        made.make(1, 0)


def test_members_of_no_sample_are_left_out_and_said(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = shutil.copytree(folder, tmp_path / "data")
    with tarfile.open(data / "train-000000.tar", "a") as tar:
        for name in ("README", "sub/._00000000.npy"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    order = TrainingOrder.of_one(0, "f", SAMPLES, SAMPLES)
    assert sorted(maker(data, order).make(0, 0).keys) == sorted(maker(folder, order).make(0, 0).keys)
    assert caplog.messages == [
        f"members of the shards in {data} that are of no sample are left out: 2, the first 'README' of train-000000.tar"
    ]
    with tarfile.open(data / "train-000000.tar", "a") as tar:
        link = tarfile.TarInfo("00000099.npy")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(UserError, match=r"'train-000000.tar' is not whole at '00000099.npy', byte \d+: the member"):
        maker(data, order)


def scribble(shard: Path) -> None:
    """Write other bytes into the middle of a shard, in place."""
    with shard.open("r+b") as file:
        file.seek(shard.stat().st_size // 2)
        file.write(b"\xff" * 64)
