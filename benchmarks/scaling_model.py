"""What ranks send each other at a step and what a run stores, on paper: formulas, and the tables of docs/scaling.md.

    python benchmarks/scaling_model.py            prints the tables
    python benchmarks/scaling_model.py --sizes    counts the networks' parameters anew first, which takes a minute

``communication.py`` counts the bytes that real runs send, and holds them against the same formulas.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

FLOAT, DOUBLE, LONG = 4, 8, 8  # bytes
Level = Literal["static", "losses", "representation", "parameter"]
LEVELS: tuple[Level, ...] = ("static", "losses", "representation", "parameter")
GPUS = (8, 64, 1024)
TASKS = 5
SIZES = Path(__file__).with_name("network_sizes.json")
INDEX_BYTES = 30  # of a sample with a key of ten characters and two members


@dataclass(frozen=True)
class Network:
    """What of a model is sent and stored.

    Attributes:
        trained: parameters that train.
        shared: those of them below the features.
        norms: batch normalisations.
        channels: theirs, together.
        buffer_bytes: running statistics and the like.
    """

    trained: int
    shared: int
    norms: int = 0
    channels: int = 0
    buffer_bytes: int = 0

    @property
    def checkpoint_bytes(self) -> int:
        """Bytes of a checkpoint with Adam, but for some kilobytes: weights, two moments of each, buffers."""
        return 3 * FLOAT * self.trained + self.buffer_bytes


@dataclass(frozen=True)
class Plan:
    """How a step is made.

    Attributes:
        tasks: K.
        level: what the balancer looks at.
        every: steps from one decision to the next.
        normalise: whether losses are normalised before they are balanced.
        micro_batches: of one step.
        passes: of one micro-batch in training: one, and one for each task with a view of its own.
        pairs: numbers that a task over pairs of views makes of a view; 0 without such a task.
        rows: of the global batch, those that only fill it up counted; asked of such a task alone.
    """

    tasks: int
    level: Level = "static"
    every: int = 1
    normalise: bool = False
    micro_batches: int = 1
    passes: int = 1
    pairs: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Part:
    """Messages of one purpose at a step.

    Attributes:
        messages: how many.
        payload_bytes: what each rank brings to all of them.
        where: ``cpu`` goes by gloo, ``device`` by NCCL where there are GPUs.
        is_sum: an all-reduce; if not, a broadcast.
    """

    messages: float
    payload_bytes: float
    where: Literal["cpu", "device"] = "device"
    is_sum: bool = True

    def wire_bytes(self, ranks: int) -> float:
        """Return what one of ``ranks`` sends on average: round a ring twice for a sum, once for a broadcast."""
        return self.payload_bytes * (ranks - 1) / ranks * (2 if self.is_sum else 1)


def step_parts(network: Network, plan: Plan) -> dict[str, Part]:
    """Return what ranks tell each other at a step, by purpose; what comes at some steps only, as a mean over steps."""
    tasks, share = plan.tasks, 1 / plan.every
    parts = {"pulse": Part(1, LONG * (tasks + 4), "cpu"), "finite": Part(1, LONG * tasks, "cpu")}
    if network.norms:  # sums and a count, then squares, and both on the way back
        times = plan.passes * plan.micro_batches
        parts["normalisation"] = Part(
            4 * network.norms * times, FLOAT * (4 * network.channels + 2 * network.norms) * times
        )
    if plan.pairs:  # which rows count; two views of each, and their gradients
        parts["pairs"] = Part(3 * plan.micro_batches, FLOAT * plan.rows * (1 + 4 * plan.pairs))
    if network.buffer_bytes:
        parts["buffers"] = Part(1, network.buffer_bytes, is_sum=False)
    if plan.level == "parameter":
        parts["task gradients"] = Part(share, share * FLOAT * tasks * network.shared)
    if rows := _balance_rows(plan):
        parts["balance"] = Part(share, share * DOUBLE * tasks * rows)
    if plan.normalise:
        parts["losses"] = Part(1, DOUBLE * tasks)
    parts["gradients"] = Part(1, FLOAT * network.trained)
    return parts


def _balance_rows(plan: Plan) -> int:
    """Return how many rows of K numbers a decision needs from all ranks: the losses, and the Gramian."""
    losses = 0 if plan.normalise or plan.level == "static" else 1
    return losses + (plan.tasks if plan.level in ("representation", "parameter") else 0)


def network_of(sharing: object, outputs: int) -> Network:
    """Return the sizes of a sharing scheme with a linear head of ``outputs`` for each task."""
    from torch import nn

    from descant.sharing import Sharing

    assert isinstance(sharing, Sharing)
    shared = sum(parameter.numel() for parameter in sharing.parameters() if parameter.requires_grad)
    heads = sum(outputs * (math.prod(shape) + 1) for shape in sharing.shapes.values())
    norms = [layer for layer in sharing.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    channels, buffers = sum(norm.num_features for norm in norms), list(sharing.buffers())
    held = sum(buffer.numel() * buffer.element_size() for buffer in buffers)
    return Network(shared + heads, shared, len(norms), channels, held)


NETWORKS: Mapping[str, tuple[str, tuple[int, int, int]]] = {
    "tcdcn": ("tcdcn", (1, 40, 40)),
    "resnet50": ("resnet50", (3, 224, 224)),
}
"""The tables' networks: a trunk, and the shape of its image."""


def build_network(name: str, sharing: str) -> Network:
    """Build a sharing scheme with its default options over one of ``NETWORKS``, and return its sizes."""
    from descant.sharing import sharings
    from descant.trunks import build_trunk

    trunk, shape = NETWORKS[name]
    inputs = {"image": shape}
    features = {f"task{number}": "pooled" for number in range(TASKS)}
    given = {"make_trunk": lambda: build_trunk(trunk, {}, inputs), "features": features, "inputs": inputs}
    return network_of(sharings.build(sharing, {}, **given), outputs=10)


def count_sizes() -> None:
    """Write the sizes of all networks under all schemes."""
    from descant.sharing import sharings

    sizes = {name: {scheme: asdict(build_network(name, scheme)) for scheme in sharings.names()} for name in NETWORKS}
    SIZES.write_text(json.dumps(sizes, indent=1) + "\n")


def sizes() -> dict[str, dict[str, Network]]:
    """Return the sizes of the tables' networks, by trunk and scheme."""
    read = json.loads(SIZES.read_text())
    return {name: {scheme: Network(**size) for scheme, size in schemes.items()} for name, schemes in read.items()}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def amount(size_bytes: float) -> str:
    """Return bytes with a unit of powers of ten and three digits."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.3g} {unit}"
    return f"{size_bytes:.0f} B"


def schemes_table(name: str) -> str:
    """Return what each sharing scheme sends and stores, with fixed weights."""
    rows = []
    for scheme, network in sizes()[name].items():
        parts = step_parts(network, Plan(TASKS))
        sent = [amount(sum(part.wire_bytes(ranks) for part in parts.values())) for ranks in GPUS]
        rows.append([scheme, f"{network.trained:,}", *sent, amount(network.checkpoint_bytes)])
    return table(["sharing", "parameters that train", *(f"{ranks} GPUs" for ranks in GPUS), "checkpoint"], rows)


def levels_table(name: str) -> str:
    """Return what each level of balancing adds with hard sharing, at a step that decides."""
    network, rows = sizes()[name]["hard"], []
    for level in LEVELS:
        parts = step_parts(network, Plan(TASKS, level))
        added = [parts[part] for part in ("task gradients", "balance") if part in parts]
        sent = [amount(sum(part.wire_bytes(ranks) for part in added)) for ranks in GPUS]
        rows.append([level, amount(sum(part.payload_bytes for part in added)), *sent])
    return table(["level", "added to the sums of a rank", *(f"sent by one of {ranks}" for ranks in GPUS)], rows)


def hops_table(latency_s: float = 50e-6) -> str:
    """Return what the two sums of the CPUs take if every hop of gloo's ring costs ``latency_s``."""
    rows = [[f"{ranks:,}", f"{2 * (ranks - 1):,}", f"{2e3 * 2 * (ranks - 1) * latency_s:.3g} ms"] for ranks in GPUS]
    return table(["ranks", "hops of one sum", "both sums, at 50 µs a hop"], rows)


def storage_table(samples: int = 10_000_000, sample_bytes: int = 100_000, gpus_per_host: int = 8) -> str:
    """Return what a run reads, with 32 samples a GPU at a step."""
    rows = []
    for ranks in GPUS:
        hosts = ranks // gpus_per_host
        fetched = hosts * samples * sample_bytes
        bytes_there = (32 * ranks * sample_bytes, samples * sample_bytes, fetched, INDEX_BYTES * samples)
        rows.append([f"{ranks:,}", f"{hosts:,}", *map(amount, bytes_there)])
    return table(
        ["GPUs", "hosts", "read at a step", "cached by a host", "fetched by all hosts", "index of a host"], rows
    )


TABLES: Mapping[str, Callable[[], str]] = {
    "sharing, tcdcn": lambda: schemes_table("tcdcn"),
    "sharing, resnet50": lambda: schemes_table("resnet50"),
    "levels, tcdcn": lambda: levels_table("tcdcn"),
    "levels, resnet50": lambda: levels_table("resnet50"),
    "hops": hops_table,
    "storage": storage_table,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", action="store_true", help="count the networks' parameters anew")
    if parser.parse_args().sizes:
        count_sizes()
    for name, made in TABLES.items():
        print(f"{name}\n\n{made()}\n")


if __name__ == "__main__":
    main()
