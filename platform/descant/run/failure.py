"""Why a run failed, as its worker tells it to the process that started the run."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import traceback as traceback_module
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from descant.errors import RunError, UserError
from descant.redaction import redacted

Kind = Literal["user", "run", "bug"]
FILE = "failure.json"
# What torch's backends say when another rank has gone; they raise plain RuntimeErrors.
_LOST = (
    "connection closed by peer",
    "connection reset by peer",
    "broken pipe",
    "connection refused",
    "is killed by signal",  # a loader process, by the system that ran out of memory
    "exited unexpectedly",
)


@dataclass(frozen=True)
class Failure:
    """An error that another try would meet again.

    Attributes:
        error: one sentence.
        traceback: where it came from, for ``--debug``.
        kind: ``user`` what was given cannot work, ``run`` the run could not go on, ``bug`` anything else.
    """

    error: str
    traceback: str
    kind: Kind

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception."""
        kind: Kind = "user" if isinstance(error, UserError) else "run" if isinstance(error, RunError) else "bug"
        sentence = str(error) if kind != "bug" else f"{type(error).__name__}: {error}"
        return cls(sentence, "".join(traceback_module.format_exception(error)), kind)

    def write(self, folder: Path) -> None:
        """Put the failure into a run folder; where several workers fail, the first one's stays."""
        temporary = folder / f".{FILE}.{socket.gethostname()}.{os.getpid()}"
        temporary.write_text(redacted(json.dumps(dataclasses.asdict(self))), encoding="utf-8")
        try:
            os.link(temporary, folder / FILE)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            os.replace(temporary, folder / FILE)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> Failure | None:
        """Return the failure that stands in a run folder, None where there is none."""
        try:
            return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def exception(self) -> UserError | RunError:
        """Return the error for the user; the worker's traceback is its cause."""
        error = UserError(self.error) if self.kind == "user" else RunError(self.error)
        error.__cause__ = RuntimeError(self.traceback)
        return error


def clear_failure(folder: Path) -> None:
    """Take away what an earlier try has left, so that a new one starts."""
    (folder / FILE).unlink(missing_ok=True)


def is_connection_loss(error: BaseException) -> bool:
    """Return whether an exception says that another rank has gone: its end is the cause, and another try helps."""
    if isinstance(error, ConnectionError) or type(error).__name__ in ("DistBackendError", "DistNetworkError"):
        return True
    if isinstance(error, RunError):  # says itself what to do, of a server that cannot be reached too
        return False
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _LOST)
