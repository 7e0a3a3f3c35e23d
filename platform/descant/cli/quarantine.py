"""``descant data quarantine RUN``."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path


def configure_quarantine(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", help="a run's folder")
    parser.add_argument("--json", action="store_true", help="print the rows as they are, one JSON object a line")


def print_quarantine(args: argparse.Namespace) -> int:
    """Print which samples a run could not use, why, and how many of each reason there are."""
    import json

    from descant.cli.listing import print_listing
    from descant.errors import UserError
    from descant.loop.quarantine import unique_rows

    folder = Path(args.run)
    if not folder.is_dir():
        raise UserError(f"there is no run folder {args.run!r}: give one such as runs/genre")
    rows = unique_rows(folder / "quarantine.jsonl")
    if args.json:
        for row in rows:
            print(json.dumps(row))
        return 0
    if not rows:
        print("no sample was put into quarantine")
        return 0
    print_listing(
        [("SHARD", "KEY", "STAGE", "REASON"), *((row["shard"], row["key"], row["stage"], row["error"]) for row in rows)]
    )
    print()
    for (stage, reason), count in Counter((row["stage"], row["error"]) for row in rows).most_common():
        print(f"{count} × {stage}: {reason}")
    samples = len({(row["shard"], row["key"]) for row in rows})
    print(f"{samples} sample{'' if samples == 1 else 's'} in quarantine")
    return 0
