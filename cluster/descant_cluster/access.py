"""How Descant authenticates: a token wherever it starts or calls a cluster, unless the user has switched that off.

The token of a call is looked for where Ray looks, and in the state of the cluster that ``descant cluster up`` started:
``RAY_AUTH_TOKEN``, the file that ``RAY_AUTH_TOKEN_PATH`` names, that cluster's file, ``~/.ray/auth_token``. It stays in
files and in memory: never an argument of a process, a log or an error. ``RAY_AUTH_MODE=disabled`` is the user's word
for clusters without authentication.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from descant.errors import UserError
from descant.redaction import hide
from descant_cluster.state import TOKEN, new_token

MODE = "RAY_AUTH_MODE"
_TEXT, _PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


@dataclass(frozen=True)
class Access:
    """How to call one cluster.

    Attributes:
        variables: what Ray has to find in the environment; None stands for nothing.
        token: the token itself, None without authentication.
        source: where it was found, for errors.
    """

    variables: Mapping[str, str | None]
    token: str | None = None
    source: str = ""


@contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Let Ray, in this process and those it starts, find variables until the end of the block; None takes one out."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def no_authentication() -> Access:
    """Return how a cluster without authentication is started and called."""
    return Access({MODE: "disabled", _TEXT: None, _PATH: None})


def by_file(path: Path) -> Access:
    """Return how to call, or to start, the cluster whose token is in a file."""
    return Access({MODE: "token", _TEXT: None, _PATH: str(path)}, _read(path), str(path))


def is_disabled() -> bool:
    """Return whether the user has switched authentication off in so many words."""
    return os.environ.get(MODE, "").lower() == "disabled"


@contextmanager
def own_token() -> Iterator[Access]:
    """Yield the access of a cluster that this process starts for itself: a token of its own, gone with the block."""
    if is_disabled():
        yield no_authentication()
        return
    with tempfile.TemporaryDirectory(prefix="descant-") as folder:
        yield by_file(new_token(Path(folder) / TOKEN))


def find_access(address: str, local: Mapping[str, Path]) -> Access:
    """Return how to call the cluster at an address.

    Args:
        address: ``host:port`` with or without a scheme.
        local: the token's file of each cluster that is known to run on this machine, by ``host:port``.

    Raises:
        UserError: there is no token, or no reading it.
    """
    if is_disabled():
        return no_authentication()
    if os.environ.get(_TEXT):
        token = os.environ[_TEXT].strip()
        hide(token, "(token)")
        return Access({MODE: "token"}, token, _TEXT)
    default = Path.home() / ".ray" / "auth_token"
    named = os.environ.get(_PATH)
    path = Path(named) if named else local.get(host_port(address), default)
    if path == default and not default.exists():
        raise UserError(
            f"there is no token for the cluster at {address}: set RAY_AUTH_TOKEN_PATH to the file that holds its token "
            f"(or RAY_AUTH_MODE=disabled where it asks for none)"
        )
    return by_file(path)


def host_port(address: str) -> str:
    """Return ``host:port`` of an address, one spelling for this machine's loopback."""
    place = address.rpartition("://")[2].split("/")[0]
    host, _, port = place.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("localhost", "[::1]") else place


def _read(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"the token's file {str(path)!r} cannot be read: {reason}") from error
    if not token:
        raise UserError(f"the token's file {str(path)!r} is empty: put the cluster's token there")
    hide(token, "(token)")
    return token


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if "ray._raylet" in sys.modules:  # it keeps what it has read
        from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()
