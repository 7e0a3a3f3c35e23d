"""``descant data verify SHARDS…``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descant.data.table import ShardProblem
    from descant.data.verify import ShardReport


def configure_verify(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("shards", nargs="+", metavar="SHARDS", help="folders of shards (data sets), or tars")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: as many as help)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def verify(args: argparse.Namespace) -> int:
    """Walk all shards, say what is wrong and from which byte; return 1 when something is."""
    import json

    from descant.cli.progress import counting
    from descant.data.verify import find_copies, shards_of, verify_description, verify_shards

    shards = shards_of(args.shards)
    reports: list[ShardReport] = []
    with counting("shards") as progress:
        for report in verify_shards(shards, args.jobs, progress):
            reports.append(report)
            if not args.json:
                _print_report(report)
    whole = find_copies(reports)
    for folder in dict.fromkeys(Path(place) for place in args.shards if Path(place).is_dir()):
        whole += verify_description(folder, reports)
    problems = [problem for report in reports for problem in report.problems] + whole
    samples = sum(report.samples for report in reports)
    if args.json:
        found = {"samples": samples, "shards": len(reports), "problems": [_plain(problem) for problem in problems]}
        print(json.dumps(found))
    else:
        for problem in whole:
            print(f"{problem.shard}: {problem.problem}")
        print(f"{samples} samples in {_count(len(reports), 'shard')}: {_count(len(problems), 'problem')}")
    return 1 if problems else 0


def _print_report(report: ShardReport) -> None:
    problems = _count(len(report.problems), "problem") if report.problems else "sound"
    print(f"{report.path}: {report.samples} samples, {report.size_bytes} bytes, {problems}", flush=True)
    for problem in report.problems:
        print(f"  {_place(problem)}{problem.problem}")


def _plain(problem: ShardProblem) -> dict[str, Any]:
    return {"shard": problem.shard, "key": problem.key, "offset": problem.offset, "problem": problem.problem}


def _place(problem: ShardProblem) -> str:
    at = "" if problem.offset is None else f"from byte {problem.offset}"
    key = "" if problem.key is None else f"{problem.key!r}"
    return ", ".join(part for part in (at, key) if part) + ": " if at or key else ""


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
