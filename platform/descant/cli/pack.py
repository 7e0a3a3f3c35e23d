"""``descant pack FORMAT SOURCE OUT``."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from descant.cli.formats import FORMATS

if TYPE_CHECKING:
    from descant.data.description import Description

HELP = "turn raw data in their published layouts into a data set of shards"
HAS_ACTIONS = True
_SHOWN = 10
_OWN = ("action", "main", "debug", "source", "out", "shard_size")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare a sub-command for each format."""
    actions = parser.add_subparsers(title="formats", metavar="FORMAT", required=True, dest="action")
    for name, layout in FORMATS.items():
        action = actions.add_parser(name, help=layout.help, description=layout.help)
        action.add_argument("source", help=layout.source)
        _add_common(action)
        for flag, settings in layout.options.items():
            action.add_argument(flag, **settings)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", help="the data set to be made: a folder, new or empty")
    parser.add_argument("--seed", type=int, default=0, help="of the splits that are drawn (default: %(default)s)")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core)")
    parser.add_argument(
        "--shard-size", type=int, default=256, metavar="MIB", help="begin another shard after it (default: %(default)s)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the data set in OUT")


def main(args: argparse.Namespace) -> int:
    """Pack, and say what was packed and what was left out."""
    from descant.cli.progress import counting
    from descant.errors import UserError

    pack = getattr(importlib.import_module(f"descant.pack.{args.action}"), f"pack_{args.action}")
    options = {name: value for name, value in vars(args).items() if name not in _OWN}
    if args.shard_size < 1:
        raise UserError(f"--shard-size is {args.shard_size}: give mebibytes from 1")
    with counting(FORMATS[args.action].counted) as progress:
        description = pack(
            Path(args.source),
            Path(args.out),
            shard_size=args.shard_size * 2**20,
            on_progress=progress,
            **options,
        )
    _print_outcome(description, Path(args.out))
    return 0


def _print_outcome(description: Description, folder: Path) -> None:
    for name, split in description.splits.items():
        shards = f"{len(split.shards)} shard{'s' if len(split.shards) != 1 else ''}"
        print(f"{name}: {split.samples} samples in {shards}")
    left_out = description.provenance["left_out"]
    _print_entries(f"left out: {len(left_out)}", left_out)
    for column, why in description.provenance.get("ignored", {}).items():
        print(f"no label: the column {column!r} ({why}); --label {column}=KIND makes it one")
    shorter = description.provenance.get("shorter", [])
    if shorter:
        _print_entries(f"packed although shorter than usual: {len(shorter)}", shorter)
    print(f"data set: {folder}")


def _print_entries(title: str, entries: list[dict[str, str]]) -> None:
    print(title)
    for entry in entries[:_SHOWN]:
        print(f"  {entry['key']}: {entry['reason']}")
    if len(entries) > _SHOWN:
        print(f"  and {len(entries) - _SHOWN} more, all named in dataset.json")
