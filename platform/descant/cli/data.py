"""``descant data demo|info``."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make a small corpus in real raw layouts, or say what a data set holds"
HAS_ACTIONS = True


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


def main(args: argparse.Namespace) -> int:
    """Run the action."""
    return _demo(args) if args.action == "demo" else _info(args)


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

    from descant.loop.experiment import open_data

    description = open_data(Path(args.folder))
    if args.json:
        print(json.dumps(description.to_json()))
        return 0
    print(f"{description.name}  fingerprint {description.fingerprint}")
    for name, field in description.fields.items():
        details = ", ".join(field.classes) if field.classes else "x".join(map(str, field.shape or ()))
        print(f"  {name}: {field.kind}{' ' + field.extension if field.extension else ''}  {details}".rstrip())
    for name, split in description.splits.items():
        print(f"  {name}: {split.samples} samples in {len(split.shards)} shard{'s' * (len(split.shards) > 1)}")
        for label, counts in split.counts.items():
            print(f"    {label}: {' '.join(map(str, counts))}")
    left_out = (description.provenance or {}).get("left_out", [])
    if left_out:
        print(f"  left out when packing: {len(left_out)}")
        for entry in left_out[:10]:
            print(f"    {entry['key']}: {entry['reason']}")
    return 0
