"""Sound shards as different programs write them, taken apart into members, so that they can be put together wrongly."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import webdataset

BLOCK = 512
Samples = Mapping[str, Mapping[str, bytes]]


@dataclass(frozen=True)
class Member:
    """One member: its sample, its headers (long names have several), and its data without what fills the last block."""

    key: str
    extension: str
    headers: bytes
    data: bytes

    @property
    def blob(self) -> bytes:
        """All its blocks."""
        return self.headers + self.data + bytes(-len(self.data) % BLOCK)


@dataclass(frozen=True)
class Shard:
    """A tar: its members in order, and what follows them."""

    writer: str
    members: Sequence[Member]
    tail: bytes

    @property
    def raw(self) -> bytes:
        """The bytes of the file."""
        return b"".join(member.blob for member in self.members) + self.tail

    def starts(self) -> list[int]:
        """The byte where each member starts, and the one where the end mark does."""
        return np.cumsum([0, *(len(member.blob) for member in self.members)]).tolist()


def sound_shards() -> list[Shard]:
    """Return shards by webdataset, by Python's tarfile in three formats, and by the tar program where there is one."""
    short, long = samples(""), samples("folder/" + "long-" * 29)
    with tempfile.TemporaryDirectory() as folder:
        paths = {"webdataset": write_webdataset(Path(folder, "webdataset.tar"), short)}
        formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
        for name, form in formats.items():
            path = Path(folder, f"{name}.tar")
            paths[name] = write_tarfile(path, short if name == "ustar" else long, form)
        if shutil.which("tar"):
            for name in ("ustar", "gnu", "pax"):
                content = short if name == "ustar" else samples("long-" * 29)
                paths[f"tar {name}"] = write_program(Path(folder, f"tar-{name}.tar"), content, name)
        return [take_apart(writer, path) for writer, path in paths.items()]


def samples(prefix: str) -> dict[str, dict[str, bytes]]:
    """Return samples of which some have a member more than others, one is empty, and one is all zeros."""
    rng = np.random.default_rng(len(prefix))
    made: dict[str, dict[str, bytes]] = {}
    for number in range(6):
        # Bytes from 1: a size that is wrong by zeros only is wrong by nothing that a tar shows.
        text, array = (rng.integers(1, 256, size, np.uint8).tobytes() for size in rng.integers(1, 1800, 2))
        made[f"{prefix}s{number}"] = {"cls": str(number).encode(), "npy": array, "txt": text}
    made[f"{prefix}s1"]["seg.png"] = b"\x01" * BLOCK
    made[f"{prefix}s2"]["txt"] = bytes(3 * BLOCK) + b"\x01"
    made[f"{prefix}s3"]["cls"] = b""
    return made


def write_webdataset(path: Path, content: Samples) -> Path:
    with webdataset.TarWriter(str(path), encoder=False, mtime=0) as writer:
        for key, members in content.items():
            writer.write({"__key__": key, **members})
    return path


def write_tarfile(path: Path, content: Samples, form: int) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for key, members in content.items():
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def write_program(path: Path, content: Samples, form: str) -> Path:
    names = [f"{key}.{extension}" for key, members in content.items() for extension in members]
    with tempfile.TemporaryDirectory() as folder:
        for key, members in content.items():
            for extension, data in members.items():
                Path(folder, f"{key}.{extension}").write_bytes(data)
        same = ["--mtime=@0", "--owner=0", "--group=0", "--mode=644"]  # bytes in each run
        if form == "pax":
            same.append("--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime")
        subprocess.run(["tar", f"--format={form}", *same, "-cf", path, "-C", folder, *names], check=True)
    return path


def take_apart(writer: str, path: Path) -> Shard:
    """Return the members as Python's tarfile finds them."""
    raw, members, end = path.read_bytes(), [], 0
    with tarfile.open(path) as tar:
        for info in tar:
            assert info.offset == end, "members lie end to end"
            data = raw[info.offset_data : info.offset_data + info.size]
            folder, slash, base = info.name.rpartition("/")
            stem, _, extension = base.partition(".")
            members.append(Member(folder + slash + stem, extension, raw[info.offset : info.offset_data], data))
            end = info.offset_data + -(-info.size // BLOCK) * BLOCK
    return Shard(writer, members, raw[end:])
