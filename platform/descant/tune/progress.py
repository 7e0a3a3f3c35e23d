"""What happens in a study, as a tuner tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["began", "evaluated", "ended", "failed", "exchanged"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a trial.

    Attributes:
        number: of the trial.
        text: the rest of a sentence that begins with the trial.
    """

    kind: Kind
    number: int
    text: str


Listener = Callable[[Event], None]
