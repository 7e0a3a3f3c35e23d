"""Ray's TLS between the nodes and processes of a cluster: switched on by the user's environment, passed on as it is."""

from __future__ import annotations

import os
from pathlib import Path

from descant.errors import UserError

USE = "RAY_USE_TLS"
FILES = ("RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")


def tls_files() -> list[str]:
    """Return the files of this machine's certificate, of its key and of the authority; none where TLS is off."""
    return [os.environ[name] for name in FILES] if _is_on() else []


def check_tls() -> None:
    """Raise a UserError when TLS is asked for and a file of it is not there, which Ray says in a crash only."""
    if not _is_on():
        return
    for name in FILES:
        place = os.environ.get(name)
        if not place or not Path(place).is_file():
            raise UserError(f"{USE} asks for TLS and {name} names no file: set it to the PEM file of this machine")
    key = Path(os.environ[FILES[1]])
    if key.stat().st_mode & 0o077:
        raise UserError(f"the key {str(key)!r} can be read by other users: chmod 600 {key}")


def _is_on() -> bool:
    return os.environ.get(USE, "0").lower() in ("1", "true")
