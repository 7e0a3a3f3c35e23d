"""Shards that somebody made in order to do harm: nothing in them runs, and each thing is refused by its name.

A payload would make a file; it is planted in every kind of member that some other reader unpickles.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from descant.cli.main import main
from descant.data.decode import MAX_PIXELS, MAX_SECONDS, decode_audio, decode_image
from descant.data.description import describe, fingerprint
from descant.data.index import build_index, index_path, load_indexes
from descant.data.reader import SplitReader
from descant.data.samples import MAX_MEMBER_BYTES
from descant.errors import UserError
from descant.loop.quarantine import unique_rows
from faults.running import TrainingProcess
from support import mel_data_set, npy

Members = Mapping[str, bytes]


class Payload:
    """What makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return io.FileIO, (str(self.target), "w")


def pickled(target: Path) -> bytes:
    return pickle.dumps(Payload(target))


def object_array(target: Path) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(target)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def write(path: Path, members: Sequence[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def append(path: Path, samples: Mapping[str, Members]) -> None:
    """Put samples behind those of a shard."""
    with tarfile.open(path, "a") as tar:
        for key, members in samples.items():
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def huge_array() -> bytes:
    header = b"{'descr': '<f2', 'fortran_order': False, 'shape': (1000000000, 128), }"
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


MEL = npy(np.zeros((80, 128), np.float16))
LABEL = b'{"genre": 1}'


def bad_samples(harm: Path) -> dict[str, Members]:
    """Samples that cannot be used, each in a way of its own."""
    return {
        "object": {"npy": object_array(harm), "json": LABEL},
        "pickle": {"npy": pickled(harm), "json": LABEL},
        "shape": {"npy": huge_array(), "json": LABEL},
        "script": {"npy": b"%!PS-Adobe-3.0 EPSF-3.0\n(harm) (w) file\n", "json": LABEL},
        "deep": {"npy": MEL, "json": b'{"genre": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"},
        "nan": {"npy": MEL, "json": b'{"genre": NaN}'},
        "infinite": {"npy": MEL, "json": b'{"genre": 1e999}'},
        "large": {"npy": MEL, "json": b'{"genre": 1' + b"0" * 4000 + b"}"},
        "larger": {"npy": MEL, "json": b'{"genre": 1' + b"0" * 5000 + b"}"},
        "list": {"npy": MEL, "json": b"[1]"},
        "nested": {"npy": MEL, "json": b'{"genre": ' + b"[" * 500 + b"]" * 500 + b"}"},
    }


def good_samples(harm: Path) -> dict[str, Members]:
    """Samples that can be used, whatever their names and their other members."""
    unpickled = {extension: pickled(harm) for extension in ("pyd", "pickle", "pkl", "pth", "pyd.gz")}
    return {
        "good": {"npy": MEL, "json": LABEL, **unpickled},
        f"pipe:touch {harm};": {"npy": MEL, "json": LABEL},
        f"$(touch {harm})": {"npy": MEL, "json": LABEL},
    }


def test_a_run_on_hostile_samples_names_them_and_runs_nothing(tmp_path: Path) -> None:
    folder = mel_data_set(tmp_path / "data", train=40, validation=8, test=8)
    fields = {"mel": {"kind": "array", "extension": "npy"}, "genre": {"kind": "class", "classes": list("abcdefgh")}}
    harm = tmp_path / "harm"
    bad, good = bad_samples(harm), good_samples(harm)
    append(folder / "train-000000.tar", {**bad, **good})
    describe_as(folder, fields, train=40 + len(bad) + len(good), validation=8, test=8)
    words = ["trainer.epochs=1", "trainer.batch_size=8", "trainer.quarantine_limit=0.5", "inputs.mel.crop_frames=32"]
    with TrainingProcess(tmp_path, "genre", f"data={folder}", "run=inline", "trunk.hidden=[8]", *words) as training:
        assert training.wait() == 0, training.output.read_text()
    assert {row["key"] for row in unique_rows(training.run / "quarantine.jsonl")} == set(bad)
    assert training.summary()["data"]["quarantined"] == len(bad)
    assert main(["data", "verify", str(folder)]) == 1
    assert not harm.exists()


def describe_as(folder: Path, fields: Mapping[str, object], **samples: int) -> None:
    splits = {
        split: {"samples": count, "shards": [f"{split}-000000.tar"], "counts": {}} for split, count in samples.items()
    }
    mark = fingerprint({split: load_indexes([folder / f"{split}-000000.tar"]) for split in samples})
    description = {"format": 1, "name": "hostile", "fingerprint": mark, "fields": fields, "splits": splits}
    (folder / "dataset.json").write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("../outside.npy", tarfile.REGTYPE, "'..' in its path"),
        ("in/../../outside.npy", tarfile.REGTYPE, "'..' in its path"),
        ("/outside.npy", tarfile.REGTYPE, "an absolute path"),
        ("link.npy", tarfile.SYMTYPE, "symbolic link"),
        ("hard.npy", tarfile.LNKTYPE, "hard link"),
        ("device.npy", tarfile.CHRTYPE, "a device"),
        ("pipe.npy", tarfile.FIFOTYPE, "a pipe"),
    ],
)
def test_members_that_lead_elsewhere_are_refused_by_name(tmp_path: Path, name: str, kind: bytes, words: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "outside.npy").write_bytes(b"secret")
    path = tmp_path / "data" / "train-000000.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("good.npy"))
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "../outside.npy"
        tar.addfile(info)
    index = build_index(path)
    assert list(index.keys) == ["good"]
    assert [(problem.key, words in problem.problem) for problem in index.problems] == [(name, True)]
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        SplitReader(tmp_path / "data", describe(tmp_path / "data"), "train")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data", "outside.npy"]


@pytest.mark.parametrize("there", [False, True])
def test_a_member_of_four_gigabytes_is_refused_by_name(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "train-000000.tar"
    info = tarfile.TarInfo("huge.npy")
    info.size = 4 * MAX_MEMBER_BYTES if not there else MAX_MEMBER_BYTES + 1
    write(path, [("good.npy", b"x")])
    header = path.read_bytes()[:1024] + info.tobuf(tarfile.USTAR_FORMAT)
    path.write_bytes(header)
    if there:  # a file with a hole takes no room on the disk
        with path.open("r+b") as file:
            file.truncate(1536 + MAX_MEMBER_BYTES + 1024 + 1024)
    index = build_index(path)
    assert list(index.keys) == ["good"]
    assert any(problem.key == "huge.npy" and str(info.size) in problem.problem for problem in index.problems)


def bomb(width: int, height: int) -> bytes:
    """A PNG of some kilobytes that states many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1 << 20), 9) * 8
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A PNG of 1 × 1 with a text that unfolds to 256 MB."""
    plain = bomb(1, 1)
    text = b"comment\0\0" + zlib.compress(bytes(1 << 28), 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    return plain[:33] + chunk + plain[33:]


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(harm) (w) file\n", "neither JPEG nor PNG"),
        (b"GIF89a" + bytes(40), "neither JPEG nor PNG"),
        (b"II*\0" + bytes(40), "neither JPEG nor PNG"),
        (bomb(50_000, 50_000), f"allowed are {MAX_PIXELS:,}"),
        (text_bomb(), "does not decode"),
    ],
)
def test_pictures_that_are_something_else_or_too_much(picture: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decode_image(picture)


def test_a_clip_that_claims_hours() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(int(MAX_SECONDS * 100) + 100, np.int16), 100, format="FLAC")
    assert len(buffer.getvalue()) < 1 << 20
    with pytest.raises(ValueError, match="allowed are 7200 s"):
        decode_audio(buffer.getvalue())


def test_an_index_that_leads_out_of_its_shard_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "train-000000.tar"
    write(path, [("a.npy", b"x")])
    SplitReader(tmp_path, describe(tmp_path), "train")
    np.savez(index_path(path), meta=np.array([{"format": 2}], dtype=object), allow_pickle=True)
    assert SplitReader(tmp_path, describe(tmp_path), "train").member(0, "npy") == b"x"


@pytest.mark.parametrize("url", ["pipe:touch harm", "pipe://touch harm", "file:train-000000.tar|touch harm"])
def test_urls_never_reach_a_shell(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "verify", url]) == 2
    assert main(["train", "genre", f"data={url}", "run=inline"]) == 2
    assert list(tmp_path.iterdir()) == []
