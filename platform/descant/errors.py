"""The errors that users see: each is one plain sentence (what was given, what is allowed, how to mend it)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """What the user gave cannot work: the command line ends with exit code 2, before anything trains."""


class RunError(RuntimeError):
    """A run could not go on (diverged, too many bad samples, lost data): exit code 1, its checkpoints are kept."""


class StoppedTogether(RunError):
    """All ranks found at the same step that the run cannot go on, so none waits for another."""


class Interrupted(Exception):
    """The user asked a run to stop and its checkpoint is written: exit code 130."""


_MOST = 30  # names in one sentence: timm alone knows more than a thousand


def nearest(given: str, known: Iterable[str], count: int = 3) -> str:
    """Return the end of an error sentence that names the known names nearest to ``given``."""
    names = sorted(known)
    if not names:
        return "none are known"
    close = difflib.get_close_matches(given, names, n=count, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(name) for name in close) + "?"
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return "known: " + ", ".join(names[:_MOST]) + more
