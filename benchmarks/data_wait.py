"""The share of a training step that is spent waiting for data, on the shipped recipes with two Ray workers.

    python benchmarks/data_wait.py --mels FOLDER [--audio FOLDER] [--faces FOLDER] [--save]

prints one line of JSON: per recipe and kind of data the mean over the epochs after the first, which has the start-up
of the loaders. ``--mels`` is what ``descant pack fma --mels`` makes, ``--audio`` what it makes without, ``--faces``
what ``descant pack mtfl`` makes. ``--save`` puts the result into the baselines of this kind of machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile

from machine import save

from descant import train
from descant.run.log import read_rows

RECIPES = {"mels": ("genre", "genre_reconstruction"), "audio": ("genre_reconstruction",), "faces": ("face_landmarks",)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for kind in RECIPES:
        parser.add_argument(f"--{kind}", metavar="FOLDER")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    shares = {
        f"{recipe} on {kind}": waiting(recipe, folder, arguments.epochs)
        for kind, recipes in RECIPES.items()
        if (folder := getattr(arguments, kind)) is not None
        for recipe in recipes
    }
    print(json.dumps(shares))
    if arguments.save:
        save("data_wait", shares)


def waiting(recipe: str, data: str, epochs: int) -> float:
    """Return the mean share over the epochs after the first."""
    with tempfile.TemporaryDirectory() as folder:
        run = train(recipe, [f"data={data}", f"run.dir={folder}", "run.workers=2", f"trainer.epochs={epochs}"])
        rows = read_rows(run.folder / "metrics.jsonl")
        shares = [row["value"] for row in rows if row["metric"] == "data_wait_share" and row["epoch"] > 0]
    return round(statistics.mean(shares), 4)


if __name__ == "__main__":
    main()
