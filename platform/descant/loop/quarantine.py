"""Samples that could not be used: named in ``quarantine.jsonl``, counted once, limited."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from descant.data.batch import BadSample
from descant.errors import RunError


class Quarantine:
    """The bad samples of a run, as this rank saw them.

    Args:
        path: the run's ``quarantine.jsonl``, to which every rank appends whole lines.
        samples: size of the training split.
        limit: the share of samples beyond which the run stops.
    """

    def __init__(self, path: Path, samples: int, limit: float) -> None:
        self._path, self._samples, self._limit = path, samples, limit
        self._known = {_identity(row) for row in read_quarantine(path)}
        self._total = len(self._known)

    def add(self, bad: Iterable[BadSample]) -> int:
        """Write what is not known yet; return how many that were."""
        fresh = 0
        for sample in bad:
            row = asdict(sample)
            if _identity(row) in self._known:
                continue
            self._known.add(_identity(row))
            fresh += 1
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")
        return fresh

    def check(self, fresh: int) -> None:
        """Count what all ranks found at this step.

        Raises:
            RunError: the share of bad samples is over the limit; the first ten reasons are in the message.
        """
        self._total += fresh
        if fresh == 0 or self._total <= self._limit * self._samples:
            return
        rows = unique_rows(self._path)
        reasons = "; ".join(f"{row['shard']}:{row['key']} ({row['stage']}: {row['error']})" for row in rows[:10])
        raise RunError(
            f"{self._total} of {self._samples} training samples cannot be used, over the limit of {self._limit:.1%} "
            f"(trainer.quarantine_limit): {reasons}"
        )


def read_quarantine(path: Path) -> list[dict[str, str]]:
    """Return the rows of a ``quarantine.jsonl``, whole lines only."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def unique_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows, each sample, stage and shard once, whichever ranks saw it."""
    return list({_identity(row): row for row in read_quarantine(path)}.values())


def _identity(row: dict[str, str]) -> tuple[str, str, str]:
    return row["shard"], row["key"], row["stage"]
