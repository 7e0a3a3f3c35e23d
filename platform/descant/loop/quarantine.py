"""Samples that could not be used: named in ``quarantine.jsonl``, counted once, limited."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path

from descant.data.batch import BadSample
from descant.errors import StoppedTogether
from descant.loop.ranks import Ranks


class Quarantine:
    """The bad samples of a run, as this rank saw them.

    Args:
        path: the run's ``quarantine.jsonl``, to which every rank appends whole lines.
        shards: names of the training split's shards; the limit is on their samples.
        samples: size of the training split.
        limit: the share of samples beyond which the run stops.
        ranks: who decides together.
    """

    def __init__(self, path: Path, shards: Collection[str], samples: int, limit: float, ranks: Ranks) -> None:
        self._path, self._shards, self._samples, self._limit = path, set(shards), samples, limit
        self._ranks = ranks
        self._known = {_identity(row) for row in read_quarantine(path)}
        _drop_torn_line(path)

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
        """Enforce the limit if any rank found something new at this step."""
        if fresh:
            self.enforce()

    def enforce(self) -> None:
        """Compare what is known with the limit; every rank calls it at the same step.

        Raises:
            StoppedTogether: the share of bad samples is over the limit; the first ten reasons are in the message.
        """
        rows = unique_rows(self._path)
        bad = len({(row["shard"], row["key"]) for row in rows if row["shard"] in self._shards})
        # A shared file system may show the ranks different moments of the file: they agree on the latest.
        bad = max(int(str(count)) for count in self._ranks.gather(bad))
        if bad <= self._limit * self._samples:
            return
        reasons = "; ".join(f"{row['shard']}:{row['key']} ({row['stage']}: {row['error']})" for row in rows[:10])
        raise StoppedTogether(
            f"{bad} of {self._samples} training samples cannot be used, over the limit of {self._limit:.1%}: mend "
            f"them, or allow more by trainer.quarantine_limit={math.ceil(100 * bad / self._samples) / 100:g}; {reasons}"
        )


def read_quarantine(path: Path) -> list[dict[str, str]]:
    """Return the rows of a ``quarantine.jsonl``."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        with contextlib.suppress(ValueError):  # torn by a process that was killed: its sample is met and named again
            rows.append(json.loads(line))
    return rows


def unique_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows, each sample, stage and shard once, whichever ranks saw it."""
    return list({_identity(row): row for row in read_quarantine(path)}.values())


def _drop_torn_line(path: Path) -> None:
    """Take away what a process that was killed has half-written at the end."""
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _identity(row: dict[str, str]) -> tuple[str, str, str, str]:
    return row["shard"], row["key"], row["stage"], row["error"]
