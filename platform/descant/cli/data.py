"""``descant data demo|info``."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make the demo corpus, or say what a data set holds"
HAS_ACTIONS = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    demo = actions.add_parser("demo", help="synthesise music in FMA's layout and faces in MTFL's")
    demo.add_argument("folder", nargs="?", default="data/demo", help="where to (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=0, help="what decides every clip and face (default: %(default)s)")
    demo.add_argument("--raw", action="store_true", help="only the raw layouts: do not pack them into shards")
    info = actions.add_parser("info", help="fields, classes, splits and provenance of a data set")
    info.add_argument("folder", help="a data set")
    info.add_argument("--json", action="store_true", help="print one JSON object")


def main(args: argparse.Namespace) -> int:
    """Run the action."""
    return _demo(Path(args.folder), args.seed, args.raw) if args.action == "demo" else _info(args)


def _demo(folder: Path, seed: int, raw: bool) -> int:
    """Make raw/music and raw/faces, then pack them to music and faces, the way real data goes."""
    from descant.cli.progress import counting
    from descant.demo import make_faces, make_music

    with counting("music clips") as progress:
        make_music(folder / "raw" / "music", seed=seed, on_progress=progress)
    with counting("faces") as progress:
        make_faces(folder / "raw" / "faces", seed=seed, on_progress=progress)
    print(f"raw data in FMA's and MTFL's layouts: {folder / 'raw'}")
    if raw:
        return 0
    from descant.pack.fma import pack_fma
    from descant.pack.mtfl import pack_mtfl

    with counting("clips to mels") as progress:
        pack_fma(folder / "raw" / "music", folder / "music", mels=True, on_progress=progress)
    with counting("faces to shards") as progress:
        pack_mtfl(folder / "raw" / "faces", folder / "faces", on_progress=progress)
    print(f"data sets: {folder / 'music'} and {folder / 'faces'}")
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
        print(f"  {name}: {split.samples} samples in {len(split.shards)} shards")
        for label, counts in split.counts.items():
            print(f"    {label}: {' '.join(map(str, counts))}")
    left_out = (description.provenance or {}).get("left_out", [])
    if left_out:
        print(f"  left out when packing: {len(left_out)}")
        for entry in left_out[:10]:
            print(f"    {entry['key']}: {entry['reason']}")
    return 0
