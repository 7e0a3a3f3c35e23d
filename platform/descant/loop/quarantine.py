"""Samples that could not be used: named in ``quarantine.jsonl``, counted once, limited."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from descant.data.batch import BadSample
from descant.errors import StoppedTogether
from descant.loop.ranks import Ranks
from descant.redaction import redacted_values


class Quarantine:
    """The bad samples of a run, as this rank saw them.

    Args:
        path: the run's ``quarantine.jsonl``, to which every rank appends whole lines.
        shards: the data set of each shard of the training split; the limit is on their samples.
        sizes: how many samples of the training split each data set has.
        limit: the share of a data set's samples beyond which the run stops.
        ranks: who decides together.
    """

    def __init__(
        self, path: Path, shards: Mapping[str, str], sizes: Mapping[str, int], limit: float, ranks: Ranks
    ) -> None:
        self._path, self._shards, self._sizes, self._limit = path, shards, sizes, limit
        self._ranks = ranks
        self._known = {_identity(row) for row in read_quarantine(path)}
        _drop_torn_line(path)

    def add(self, bad: Iterable[BadSample]) -> int:
        """Write what is not known yet; return how many that were."""
        fresh = 0
        for sample in bad:
            row = redacted_values(asdict(sample))
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
            StoppedTogether: a data set's share of bad samples is over the limit; ten reasons are in the message.
        """
        rows = [row for row in unique_rows(self._path) if row["shard"] in self._shards]
        for name, samples in self._sizes.items():
            own = [row for row in rows if self._shards[row["shard"]] == name]
            bad = len({(row["shard"], row["key"]) for row in own})
            # A shared file system may show the ranks different moments of the file: they agree on the latest.
            bad = max(int(str(count)) for count in self._ranks.gather(bad))
            if bad > self._limit * samples:
                raise StoppedTogether(self._sentence(name, bad, samples, own[:10]))

    def _sentence(self, name: str, bad: int, samples: int, rows: list[dict[str, str]]) -> str:
        reasons = "; ".join(f"{row['shard']}:{row['key']} ({row['stage']}: {row['error']})" for row in rows)
        needed = math.ceil(100 * bad / samples) / 100
        return (
            f"{bad} of {samples} training samples{f' of {name!r}' if name else ''} cannot be used, over the limit of "
            f"{self._limit:.1%}: mend them, or allow more by trainer.quarantine_limit={needed:g}; {reasons}"
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
