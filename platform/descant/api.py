"""The two calls that Python programs need: ``descant.train`` and ``descant.load``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from descant.launch.prepare import Run, prepare
from descant.run.log import Row
from descant.trained import Trained, load

__all__ = ["Run", "Trained", "load", "train"]


def train(recipe: str, overrides: Sequence[str] = (), on_row: Callable[[Row], None] | None = None) -> Run:
    """Train a recipe and return its run.

    >>> run = descant.train("genre_reconstruction", ["trainer.epochs=3", "run=inline"])
    >>> run.summary["main"]["value"]

    Args:
        recipe: a shipped recipe's name or a path.
        overrides: ``key=value``, as on the command line.
        on_row: called with each row of ``metrics.jsonl``.

    Raises:
        UserError: what was given cannot work.
        RunError: the run failed.
    """
    return prepare(recipe, overrides).run(on_row or _ignore)


def _ignore(row: Row) -> None:
    pass
