"""Which token is taken, and that it never shows."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from descant.errors import UserError
from descant.redaction import redacted
from descant_cluster.access import environment, find_access, host_port, own_token

PLACE = "http://127.0.0.1:8265"


def token_file(path: Path, token: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(token + "\n")
    return path


def test_the_users_own_word_goes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no token for the cluster at .*: set RAY_AUTH_TOKEN_PATH"):
        find_access(PLACE, {})
    token_file(home / ".ray" / "auth_token", "of-the-home")
    assert find_access(PLACE, {}).token == "of-the-home"
    local = {"127.0.0.1:8265": token_file(home / "local", "of-this-machine")}
    assert find_access("http://localhost:8265/", local).token == "of-this-machine"
    assert find_access("http://elsewhere:8265", local).token == "of-the-home"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token_file(home / "named", "of-the-path")))
    assert find_access(PLACE, local).token == "of-the-path"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of-the-environment")
    found = find_access(PLACE, local)
    assert (found.token, found.source) == ("of-the-environment", "RAY_AUTH_TOKEN")
    assert redacted("no of-the-environment or of-the-path") == "no (token) or (token)"
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert find_access(PLACE, local).token is None


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"\n", "is empty"), (b"\xff\xfe", "no text")])
def test_a_token_that_cannot_be_read_is_one_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str
) -> None:
    if content is not None:
        (home / "named").write_bytes(content)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "named"))
    with pytest.raises(UserError, match=said):
        find_access(PLACE, {})


def test_a_cluster_of_ones_own_has_a_token_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of-another-cluster")
    with own_token() as access, environment(access.variables):
        file = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
        assert os.environ["RAY_AUTH_MODE"] == "token" and "RAY_AUTH_TOKEN" not in os.environ
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert file.read_text() == access.token and len(access.token) == 64
    assert not file.exists()
    assert os.environ["RAY_AUTH_TOKEN"] == "of-another-cluster" and "RAY_AUTH_MODE" not in os.environ
    with own_token() as other:
        assert other.token != access.token
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with own_token() as none:
        assert none.token is None


@pytest.mark.parametrize("address", ["localhost:1", "http://localhost:1/", "ray://127.0.0.1:1", "https://[::1]:1/x"])
def test_loopback_has_one_spelling(address: str) -> None:
    assert host_port(address) == "127.0.0.1:1"
    assert host_port("http://head:8265/") == "head:8265"
