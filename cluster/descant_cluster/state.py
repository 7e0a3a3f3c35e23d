"""The user's own folder of state, which nobody else reads: the token of its cluster, what runs, what was submitted."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from descant.errors import UserError

TOKEN = "token"


def state_path() -> Path:
    """Return ``$XDG_STATE_HOME/descant``, by default ``~/.local/state/descant``, which may not be there."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "descant"


def state_folder() -> Path:
    """Return ``state_path``, made for its owner alone.

    Raises:
        UserError: it cannot be made, or belongs to another user.
    """
    folder = state_path()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise UserError(
            f"the state of clusters cannot be kept in {str(folder)!r} ({error.strerror}): "
            f"set XDG_STATE_HOME to a folder of yours"
        ) from error
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def new_token(path: Path) -> Path:
    """Write a new token of 256 bits into a file that only its owner may read, and return the file."""
    write_private(path, secrets.token_hex(32))
    return path
