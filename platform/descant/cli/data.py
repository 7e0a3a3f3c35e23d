"""``descant data demo|info|verify|quarantine``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from descant.cli.quarantine import configure_quarantine, print_quarantine
from descant.cli.verify import configure_verify, verify

if TYPE_CHECKING:
    from descant.data.description import Description, Field, Split

HELP = "say what a data set holds, verify its shards, or make a small corpus in real raw layouts"
HAS_ACTIONS = True
_SHOWN = 10
_CLASSES = 40


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    demo = actions.add_parser("demo", help="synthesise music in FMA's layout and faces in MTFL's")
    demo.add_argument("folder", nargs="?", default="data/demo/raw", help="where to (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=0, help="what decides every clip and face (default: %(default)s)")
    demo.add_argument("--tracks", type=int, default=320, help="clips of music (default: %(default)s)")
    demo.add_argument("--seconds", type=float, default=10.0, help="of each clip (default: %(default)s)")
    demo.add_argument("--faces", type=int, default=400, help="training faces (default: %(default)s)")
    demo.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core)")
    info = actions.add_parser("info", help="fields, classes, splits and provenance of a data set")
    info.add_argument("folder", help="a data set")
    info.add_argument("--json", action="store_true", help="print one JSON object")
    info.add_argument(
        "--write", action="store_true", help="write what was found out into FOLDER/dataset.json, where there is none"
    )
    configure_verify(actions.add_parser("verify", help="walk shards, write their indexes, say what is wrong and where"))
    configure_quarantine(actions.add_parser("quarantine", help="the samples that a run could not use, and why"))


def main(args: argparse.Namespace) -> int:
    """Run the action."""
    actions = {"demo": _demo, "info": _info, "verify": verify, "quarantine": print_quarantine}
    return actions[args.action](args)


def _demo(args: argparse.Namespace) -> int:
    """Make FOLDER/music in FMA's layout and FOLDER/faces in MTFL's."""
    from descant.cli.progress import counting
    from descant.demo import make_faces, make_music

    music, faces = Path(args.folder) / "music", Path(args.folder) / "faces"
    with counting("music clips") as progress:
        make_music(
            music, seed=args.seed, tracks=args.tracks, seconds=args.seconds, jobs=args.jobs, on_progress=progress
        )
    with counting("faces") as progress:
        make_faces(faces, seed=args.seed, train=args.faces, test=args.faces // 4, jobs=args.jobs, on_progress=progress)
    print(f"music in FMA's layout: {music}")
    print(f"faces in MTFL's layout: {faces}")
    print("next: descant pack fma and descant pack mtfl make data sets of them")
    return 0


def _info(args: argparse.Namespace) -> int:
    import json

    from descant.data.sources import DataSets
    from descant.recipe import DataSettings

    description = DataSets.open(DataSettings.parse(args.folder)).description
    if args.write:
        _write(description, Path(args.folder))
    if args.json:
        print(json.dumps(description.to_json()))
        return 0
    print(f"{description.name}, fingerprint {description.fingerprint}")
    _print_table("split", [(name, *_sizes(split)) for name, split in description.splits.items()])
    _print_table("field", [(name, *_details(field)) for name, field in description.fields.items()])
    for name, field in description.fields.items():
        if any(name in split.counts for split in description.splits.values()):
            _print_counts(name, field, description.splits)
    left_out = (description.provenance or {}).get("left_out", [])
    if left_out:
        print(f"\nleft out when packing: {len(left_out)}")
        for entry in left_out[:_SHOWN]:
            print(f"  {entry['key']}: {entry['reason']}")
        if len(left_out) > _SHOWN:
            print(f"  and {len(left_out) - _SHOWN} more, all named in dataset.json")
    return 0


def _write(description: Description, folder: Path) -> None:
    """Write ``dataset.json`` for shards of another program, to be mended by hand."""
    from descant.data.folder import DESCRIPTION
    from descant.errors import UserError

    if not folder.is_dir() or (folder / DESCRIPTION).exists():
        raise UserError(
            f"--write is for a folder of shards on this machine without a {DESCRIPTION}, and {str(folder)!r} is none"
        )
    description.write(folder)


def _sizes(split: Split) -> tuple[str, str]:
    shards = len(split.shards)
    return f"{split.samples} samples", f"{shards} shard{'s' * (shards != 1)}"


def _details(field: Field) -> tuple[str, str]:
    """Return a field's kind and what else there is to say of it."""
    extensions = [field.extension] if isinstance(field.extension, str) else (field.extension or ())
    known = {
        "": "|".join(extensions),
        " classes": len(field.classes) or "",
        " Hz": field.rate_hz or "",
        " s": f"{field.seconds:g}" if field.seconds else "",
    }
    details = [f"{value}{unit}" for unit, value in known.items() if value]
    shape = ["x".join(map(str, field.shape))] if field.shape else []
    return field.kind, ", ".join([*details, *shape])


def _print_counts(name: str, field: Field, splits: Mapping[str, Split]) -> None:
    """Print how many samples of each class each split has, a class a line."""
    counts = [split.counts.get(name, ()) for split in splits.values()]
    rows = [
        (label, *(str(split[index]) if index < len(split) else "" for split in counts))
        for index, label in enumerate(field.classes[:_CLASSES])
    ]
    _print_table(name, [("", *splits), *rows], right=True)
    if len(field.classes) > _CLASSES:
        print(f"  and {len(field.classes) - _CLASSES} classes more (--json has all)")


def _print_table(title: str, rows: Sequence[Sequence[str]], right: bool = False) -> None:
    """Print a title and rows in columns, the first one to the left, the others to the right if asked."""
    print(f"\n{title}")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [f"{cell:>{n}}" if right else f"{cell:<{n}}" for cell, n in zip(others, widths[1:], strict=True)]
        print("  " + "  ".join([f"{first:<{widths[0]}}", *cells]).rstrip())
