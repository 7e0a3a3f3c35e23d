"""``descant evaluate RUN [data=…] [split=…]``."""

from __future__ import annotations

import argparse
import json

HELP = "metrics of a run's best checkpoint on any data set"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", metavar="RUN", help="a run's folder, such as runs/demo")
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="data=FOLDER, split=validation|test|train"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(args: argparse.Namespace) -> int:
    """Evaluate and print a table or JSON."""
    from descant.errors import UserError, nearest
    from descant.recipe import parse_override
    from descant.trained import load

    given = dict(map(parse_override, args.overrides))
    for key in given:
        if key not in ("data", "split"):
            raise UserError(f"evaluate has no key {key!r}: {nearest(key, ('data', 'split'))}")
    scores = load(args.run, given.get("data")).evaluate(str(given.get("split", "test")))
    if args.json:
        print(json.dumps(scores))
        return 0
    from rich.console import Console
    from rich.table import Table

    print(f"{scores['data']}, {scores['split']}: {scores['samples']} samples")
    table = Table(box=None, pad_edge=False)
    for column in ("task", "metric", "value"):
        table.add_column(column, justify="right" if column == "value" else "left", no_wrap=True)
    for task, metrics in scores["tasks"].items():
        for metric, value in metrics.items():
            table.add_row(task, metric, "" if value is None else f"{value:.4f}")
    Console().print(table)
    if scores["unreadable"]:
        print(f"{scores['unreadable']} samples could not be read and are left out")
    return 0
