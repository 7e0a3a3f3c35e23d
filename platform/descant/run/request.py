"""What a runner is asked to do: everything a worker on another machine needs to know, as plain JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from descant.redaction import hidden_variables


@dataclass(frozen=True)
class RunRequest:
    """One training run.

    Attributes:
        recipe: the resolved recipe, plain dicts, lists, numbers and strings.
        folder: the run folder's absolute path; it exists.
        plugins: ``{"name": …, "source": …}`` of each plugin file, so that workers need no copy of it; an installed
            module has a name alone.
        hidden: values of environment variables in the recipe, and what is to be written for each.
        tests: whether the best checkpoint is scored on the test split; without, that split is not even looked at.
    """

    recipe: dict[str, Any]
    folder: str
    plugins: list[dict[str, str]] = field(default_factory=list)
    hidden: dict[str, str] = field(default_factory=hidden_variables)
    tests: bool = True

    def to_json(self) -> str:
        """Return the request as one JSON object."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RunRequest:
        """Return the request that ``to_json`` wrote."""
        return cls(**json.loads(text))
