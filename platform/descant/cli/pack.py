"""``descant pack fma|mtfl``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from descant.data.description import Description

HELP = "turn raw data in their published layouts into a data set of shards"
HAS_ACTIONS = True
_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    fma = actions.add_parser("fma", help="the Free Music Archive's clips, with the label genre")
    fma.add_argument("source", help="the folder of clips NNN/NNNNNN.mp3")
    _add_common(fma)
    fma.add_argument("--tracks", help="tracks.csv (default: in SOURCE, or in fma_metadata beside it)")
    fma.add_argument("--subset", choices=("small", "medium", "large"), help="default: every track whose clip is there")
    fma.add_argument(
        "--split",
        choices=("auto", "fma", "random"),
        default="auto",
        help="fma: that of tracks.csv; random: 70/10/20 within each genre; auto: that of tracks.csv where every track "
        "has one, else random (default: %(default)s)",
    )
    fma.add_argument(
        "--rate-hz", type=int, default=16_000, metavar="HZ", help="of the stored clips, mono (default: %(default)s)"
    )
    fma.add_argument("--mels", action="store_true", help="store ready float16 log-mels instead of FLAC")
    fma.add_argument(
        "--min-seconds", type=float, default=5.0, metavar="S", help="leave out shorter clips (default: %(default)s)"
    )
    mtfl = actions.add_parser("mtfl", help="MTFL's faces, with landmarks, pose, gender, glasses and smile")
    mtfl.add_argument("source", help="the folder with training.txt and testing.txt, or a tar or tar.gz of it")
    _add_common(mtfl)
    mtfl.add_argument(
        "--size", type=int, default=96, metavar="PIXELS", help="side of a stored face (default: %(default)s)"
    )
    mtfl.add_argument(
        "--margin",
        type=float,
        default=1.2,
        help="room around the landmarks, in multiples of their spread (default: %(default)s)",
    )
    mtfl.add_argument(
        "--crop",
        choices=("face", "none"),
        default="face",
        help="face: a square around the landmarks; none: the pictures as they are (default: %(default)s)",
    )
    mtfl.add_argument(
        "--validation",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of the training faces that becomes the validation split (default: %(default)s)",
    )


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
    description = _pack_fma(args) if args.action == "fma" else _pack_mtfl(args)
    _print_outcome(description, Path(args.out))
    return 0


def _pack_fma(args: argparse.Namespace) -> Description:
    from descant.cli.progress import counting
    from descant.pack.fma import pack_fma

    with counting("clips") as progress:
        return pack_fma(
            Path(args.source),
            Path(args.out),
            tracks=Path(args.tracks) if args.tracks else None,
            subset=args.subset,
            split=args.split,
            rate_hz=args.rate_hz,
            mels=args.mels,
            min_seconds=args.min_seconds,
            seed=args.seed,
            jobs=args.jobs,
            shard_size=args.shard_size * 2**20,
            overwrite=args.overwrite,
            on_progress=progress,
        )


def _pack_mtfl(args: argparse.Namespace) -> Description:
    from descant.cli.progress import counting
    from descant.pack.mtfl import pack_mtfl

    with counting("faces") as progress:
        return pack_mtfl(
            Path(args.source),
            Path(args.out),
            size=args.size,
            margin=args.margin,
            crop=args.crop,
            validation=args.validation,
            seed=args.seed,
            jobs=args.jobs,
            shard_size=args.shard_size * 2**20,
            overwrite=args.overwrite,
            on_progress=progress,
        )


def _print_outcome(description: Description, folder: Path) -> None:
    for name, split in description.splits.items():
        shards = f"{len(split.shards)} shard{'s' if len(split.shards) != 1 else ''}"
        print(f"{name}: {split.samples} samples in {shards}")
    left_out = description.provenance["left_out"]
    _print_entries(f"left out: {len(left_out)}", left_out)
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
