"""What forty tasks of one attribute each cost: fused, as one 40-wide linear head, and as separate heads and losses.

    python benchmarks/fused_heads.py [--rounds 200] [--rows 256] [--width 512] [--save]

prints one line of JSON: medians of the CPU time in ms of forward, losses, backward and an Adam step on features
(rows, width), rounds alternating, one thread; and the ratios of the pairs' medians. The 40-wide head has one loss call
over all attributes; the separate heads are what the engine does with heads that it cannot fuse.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from typing import Any

import torch
from machine import cpu_ms, save
from torch import Tensor, nn

from descant.data.batch import Batch
from descant.data.description import Field
from descant.heads import LinearHead
from descant.heads.fused import FusedHeads
from descant.loop.objective import Objective
from descant.outputs import Outputs
from descant.schedules import Constant
from descant.tasks import Classification, Task

TASKS = 40
NAMES = [f"attribute_{number}" for number in range(TASKS)]
FIELDS = {name: Field("class", classes=("no", "yes")) for name in NAMES}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = measure(arguments.rounds, arguments.rows, arguments.width)
    print(json.dumps(result))
    if arguments.save:
        save("fused_heads", result)


def measure(rounds: int, rows: int, width: int) -> dict[str, Any]:
    """Return the numbers; units are in their names."""
    feature = torch.randn(rows, width, generator=torch.Generator().manual_seed(1))
    ways = {"fused": engine(feature, True), "one_head": one_head(feature), "separate": engine(feature, False)}
    times_ms: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, step in list(ways.items())[:: 1 if number % 2 else -1]:
            times_ms[name].append(cpu_ms(step))
    warm = {name: times[3:] for name, times in times_ms.items()}
    medians = {f"{name}_ms": round(statistics.median(times), 3) for name, times in warm.items()}

    def ratio(one: str, other: str) -> float:
        return round(statistics.median(a / b for a, b in zip(warm[one], warm[other], strict=True)), 3)

    return {
        "rows": rows,
        "width": width,
        **medians,
        "fused_over_one_head": ratio("fused", "one_head"),
        "separate_over_fused": ratio("separate", "fused"),
    }


def batch(rows: int) -> Batch:
    """Return random labels of all attributes, as the loaders stack them."""
    generator = torch.Generator().manual_seed(0)
    targets = {name: torch.randint(2, (rows,), generator=generator) for name in NAMES}
    valid = torch.ones(rows, dtype=torch.bool)
    together = {tuple(NAMES): (torch.stack(list(targets.values()), 1), torch.ones(rows, TASKS, dtype=torch.bool))}
    present = dict.fromkeys(NAMES, valid)
    return Batch([""] * rows, {}, targets, present, valid, together=together, complete=frozenset(together))


def engine(feature: Tensor, fused: bool) -> Callable[[], None]:
    """Return a step as the engine makes it, its heads fused or each on its own."""
    torch.manual_seed(0)
    labels = batch(len(feature))
    kind = type("Attribute", (Classification,), {} if fused else {"fusion_key": lambda self: None})
    tasks: dict[str, Task] = {}
    for name in NAMES:
        tasks[name] = type(name, (kind,), {"label": name})(name, FIELDS, {})
    objective = Objective(tasks, dict.fromkeys(NAMES, Constant(1.0)))
    heads = {name: LinearHead((feature.shape[1],), (2,)) for name in NAMES}
    together, apart = FusedHeads(heads), nn.ModuleDict(heads)
    module: nn.Module = together if fused else apart
    optimizer = torch.optim.Adam(module.parameters())

    def step() -> None:
        if fused:
            outputs = Outputs({}, {tuple(NAMES): together(feature, NAMES)})
        else:
            outputs = Outputs({name: head(feature) for name, head in apart.items()})
        (objective.losses(outputs, labels, {}).sums_K / len(feature)).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return step


def one_head(feature: Tensor) -> Callable[[], None]:
    """Return a step of one linear head of as many outputs, with one call of the same loss."""
    torch.manual_seed(0)
    labels = batch(len(feature))
    head = nn.Linear(feature.shape[1], 2 * TASKS)
    target = torch.stack(list(labels.targets.values()), 1).flatten()
    optimizer = torch.optim.Adam(head.parameters())

    def step() -> None:
        losses = nn.functional.cross_entropy(head(feature).reshape(-1, 2), target, reduction="none")
        (losses.sum() / len(feature)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return step


if __name__ == "__main__":
    main()
