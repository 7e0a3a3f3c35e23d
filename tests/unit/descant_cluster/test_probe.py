"""What a node says of its storage and data."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from descant_cluster.probe import Question
from support import mel_data_set


def answer_under(question: Question, limit: Callable[[], None]) -> str:
    """Return the answer of a process that ``limit`` has limited."""
    receive, send = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            limit()
            os.write(send, str(question.answer()).encode())
        finally:
            os._exit(0)
    os.close(send)
    os.waitpid(pid, 0)
    with os.fdopen(receive, "rb") as told:
        return told.read().decode()


@pytest.fixture
def asked(tmp_path: Path) -> Question:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / ".probe").touch()
    return Question(str(tmp_path / "runs"), ".probe", [str(mel_data_set(tmp_path / "data", train=8, validation=8))])


def test_a_node_that_has_all_says_nothing_and_leaves_nothing(asked: Question) -> None:
    assert asked.answer() is None
    assert os.listdir(asked.folder) == [".probe"]


def test_other_storage_under_the_same_name_is_found(asked: Question) -> None:
    (Path(asked.folder) / ".probe").unlink()
    said = asked.answer()
    assert said is not None and said.startswith("does not see the run's folder")


@pytest.mark.parametrize("place", ["/nowhere/at/all", "s3:"])
def test_data_that_is_not_there_is_named(asked: Question, place: str) -> None:
    said = Question(asked.folder, asked.mark, [*asked.data, place]).answer()
    assert said is not None and place in said and "\n" not in said


def test_a_full_disk_is_found(asked: Question) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    assert answer_under(asked, limit).startswith("finds no space left for the run's folder")
    assert os.listdir(asked.folder) == [".probe"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_storage_and_data_without_permission_are_found(asked: Question) -> None:
    with tempfile.TemporaryDirectory() as shared:
        os.chmod(shared, 0o755)
        (Path(shared) / ".probe").touch()
        said = answer_under(Question(shared, ".probe", []), lambda: os.seteuid(65534))
        assert said.startswith("cannot write into the run's folder") and "Permission denied" in said
        (Path(shared) / "data").mkdir(mode=0o700)
        os.chmod(shared, 0o777)
        said = answer_under(Question(shared, ".probe", [f"{shared}/data"]), lambda: os.seteuid(65534))
        assert said.startswith("may not read the data set")
