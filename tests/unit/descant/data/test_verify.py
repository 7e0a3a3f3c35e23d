"""``descant data verify`` names what is wrong, where, and what differs from ``dataset.json``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from descant.cli.main import main
from descant.data.description import fingerprint
from descant.data.index import build_index, load_index
from support import mel_data_set, write_shard


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return mel_data_set(tmp_path / "data", train=8, validation=4, test=4)


def verify(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    code = main(["data", "verify", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def describe(folder: Path, **samples: int) -> None:
    shards = {split: [folder / f"{split}-000000.tar"] for split in samples}
    mark = fingerprint({split: [build_index(path) for path in paths] for split, paths in shards.items()})
    splits = {
        split: {"samples": count, "shards": [f"{split}-000000.tar"], "counts": {}} for split, count in samples.items()
    }
    description = {"format": 1, "name": "d", "fingerprint": mark, "fields": {}, "splits": splits}
    (folder / "dataset.json").write_text(json.dumps(description))


def test_sound_shards(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(capsys, str(folder)) == (0, {"samples": 16, "shards": 3, "problems": []})
    assert len(load_index(folder / "train-000000.tar")) == 8
    assert main(["data", "verify", str(folder / "train-000000.tar"), str(folder / "test-000000.tar")]) == 0
    lines = capsys.readouterr().out.splitlines()
    size = (folder / "train-000000.tar").stat().st_size
    assert lines[0] == f"{folder / 'train-000000.tar'}: 8 samples, {size} bytes, sound"
    assert lines[-1] == "12 samples in 2 shards: no problems"


def test_damage_is_named_from_its_byte(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "train-000000.tar"
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    code, found = verify(capsys, str(folder))
    assert code == 1 and found["shards"] == 3 and found["samples"] < 16
    first = found["problems"][0]
    assert set(first) == {"shard", "key", "offset", "problem"}
    assert first["shard"] == path.name and 0 < first["offset"] <= len(raw) // 2
    assert main(["data", "verify", str(path)]) == 1
    assert f"from byte {first['offset']}" in capsys.readouterr().out


def test_an_index_that_seems_to_fit_is_not_believed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "train-000000.tar"
    verify(capsys, str(path))
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + b"\x01")  # in the filling behind the end mark
    assert verify(capsys, str(path))[0] == 1
    path.write_bytes(raw)
    assert verify(capsys, str(path))[1]["samples"] == 8
    assert len(load_index(path)) == 8


def test_what_differs_from_the_description(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    describe(folder, train=8, validation=4, test=4)
    assert verify(capsys, str(folder))[0] == 0
    describe(folder, train=9, validation=4)
    (folder / "validation-000000.tar").unlink()
    code, found = verify(capsys, str(folder))
    said = {problem["problem"] for problem in found["problems"] if problem["shard"] != "dataset.json"}
    counts = {problem["problem"] for problem in found["problems"] if problem["shard"] == "dataset.json"}
    assert code == 1
    assert said == {
        "dataset.json names it for the split 'validation', but it is missing",
        "dataset.json does not name it: it is not read",
    }
    assert counts == {
        "dataset.json says that the split 'train' has 9 samples, its shards have 8",
        "dataset.json says that the split 'validation' has 4 samples, its shards have 0",
    }


def test_shards_of_another_data_set_with_as_many_samples(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    describe(folder, train=8, validation=4, test=4)
    write_shard(folder / "test-000000.tar", {f"other{number}": {"txt": b"text"} for number in range(4)})
    code, found = verify(capsys, str(folder))
    assert code == 1
    (problem,) = found["problems"]
    assert problem["shard"] == "dataset.json" and "they are those of another data set" in problem["problem"]
    describe(folder, train=8, validation=4, test=4)
    assert verify(capsys, str(folder))[0] == 0


def test_a_shard_that_is_there_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(folder / "train-000000.tar", folder / "train-000001.tar")
    code, found = verify(capsys, str(folder))
    assert code == 1
    assert [(one["shard"], one["problem"]) for one in found["problems"]] == [
        ("train-000001.tar", "it has the same bytes as train-000000.tar: its samples would come twice")
    ]


def test_members_that_could_run_code_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = {"txt": b"fine", "pyd": b"", "seg.pickle": b"", "pth.gz": b"", "pklx": b""}
    write_shard(tmp_path / "train-000000.tar", {"a": members, "b": members, "c": {"txt": b"fine"}})
    code, found = verify(capsys, str(tmp_path))
    assert code == 1 and found["samples"] == 3
    assert {one["problem"].split("'")[1] for one in found["problems"]} == {"pyd", "seg.pickle", "pth.gz"}
    assert {one["key"] for one in found["problems"]} == {"a"}


@pytest.mark.parametrize("what", ["absent", "empty"])
def test_what_is_no_shard_is_refused(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["data", "verify", str(tmp_path / what)]) == 2
    assert str(tmp_path / what) in capsys.readouterr().err


def test_many_shards_are_verified_by_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = mel_data_set(tmp_path / "data", train=4, validation=4, test=4)
    assert verify(capsys, str(folder), "--jobs", "2") == (0, {"samples": 12, "shards": 3, "problems": []})


def test_the_quarantine_of_a_run_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"shard": "train-000000.tar", "key": f"{number:03d}", "stage": "decode", "error": reason}
        for number, reason in enumerate(["it is cut off", "it is cut off", "it is empty"])
    ]
    path = tmp_path / "quarantine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    assert main(["data", "quarantine", str(tmp_path), "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows
    assert main(["data", "quarantine", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["train-000000.tar", "000", "decode", "it", "is", "cut", "off"]
    assert lines[-3:] == ["2 × decode: it is cut off", "1 × decode: it is empty", "3 samples in quarantine"]
    path.unlink()
    assert main(["data", "quarantine", str(tmp_path)]) == 0
    assert "no sample" in capsys.readouterr().out
    assert main(["data", "quarantine", str(tmp_path / "absent")]) == 2
