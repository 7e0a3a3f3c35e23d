"""What a worker says of its failure reaches the user, and only what another try may mend is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from descant.errors import RunError, UserError
from descant.run.failure import Failure, clear_failure, is_connection_loss


def failing(error: Exception) -> Failure:
    try:
        raise error
    except Exception as caught:
        return Failure.of(caught)


@pytest.mark.parametrize(
    ("error", "kind", "sentence", "raised"),
    [
        (UserError("the batch is larger than the split"), "user", "the batch is larger than the split", UserError),
        (RunError("genre diverged at step 3"), "run", "genre diverged at step 3", RunError),
        (ZeroDivisionError("division by zero"), "bug", "ZeroDivisionError: division by zero", RunError),
    ],
)
def test_a_failure_comes_back_as_it_was(
    tmp_path: Path, error: Exception, kind: str, sentence: str, raised: type[Exception]
) -> None:
    failure = failing(error)
    failure.write(tmp_path)
    read = Failure.read(tmp_path)
    assert read == failure
    assert (read.kind, read.error) == (kind, sentence)
    assert type(read.exception()) is raised
    assert str(read.exception()) == sentence
    assert "in failing" in str(read.exception().__cause__)


def test_the_first_failure_stays_until_it_is_cleared(tmp_path: Path) -> None:
    failing(RunError("first")).write(tmp_path)
    failing(RunError("second")).write(tmp_path)
    read = Failure.read(tmp_path)
    assert read is not None
    assert read.error == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["failure.json"]
    clear_failure(tmp_path)
    assert Failure.read(tmp_path) is None


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [10.0.0.1]:4000"), True),
        (RuntimeError("Connection reset by peer"), True),
        (RunError("s3://set/a.tar could not be read in 5 tries ([Errno 111] Connection refused)"), False),
        (ConnectionResetError("gone"), True),
        (RuntimeError("shapes (3, 4) and (5,) do not fit"), False),
        (ValueError("connection closed by peer"), False),
    ],
)
def test_only_a_lost_rank_is_worth_another_try(error: Exception, lost: bool) -> None:
    assert is_connection_loss(error) is lost
