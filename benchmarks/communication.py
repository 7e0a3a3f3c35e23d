"""The bytes that ranks really send each other at a step, beside what ``scaling_model.py`` says.

Runs of 1, 2 and 3 ranks train through a process group that counts what passes through it, DDP's sums too. Runs of two
lengths within one epoch are subtracted, so that what comes once a run falls out. The loopback device counts the bytes
on the wire; in a network namespace of its own nothing else is in that count:

    unshare --net sh -c 'ip link set lo up; python benchmarks/communication.py data/demo/faces'
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing
from machine import save
from scaling_model import Network, Plan, amount, step_parts, table
from torch import Tensor, nn

RANKS = (1, 2, 3)
STEPS = (4, 8)
RECIPE = "face_landmarks_auxiliary"
BATCH, MICRO_BATCH = 16, 4
ALWAYS = [
    *("run=inline", f"trainer.batch_size={BATCH}", "trainer.log_steps=1000", "trainer.checkpoint_s=null"),
    *("trainer.loader_workers=0", *(f"tasks.{task}.stop=null" for task in ("pose", "gender", "glasses", "smile"))),
]
CASES: Mapping[str, tuple[Sequence[str], Mapping[str, Any]]] = {
    "hard, static": ((), {}),
    "ple, static": (("sharing=ple",), {}),
    "soft, static": (("sharing=soft",), {}),
    "hard, losses": (("balance=dwa",), {"level": "losses"}),
    "hard, losses, normalised": (("balance={name: dwa, normalise: mean}",), {"level": "losses", "normalise": True}),
    "hard, representation": (("balance=mgda",), {"level": "representation"}),
    "hard, representation, every 4": (("balance={name: mgda, every: 4}",), {"level": "representation", "every": 4}),
    "hard, parameter": (("balance={name: mgda, level: parameter}",), {"level": "parameter"}),
    "hard, pairs of views": (("tasks.contrastive={projection: 16}",), {"tasks": 6, "passes": 2, "pairs": 16}),
    "hard, batch norm": (("trunk=test_resnet",), {}),
    "hard, batch norm, micro-batches": (
        ("trunk=test_resnet", f"trainer.micro_batch={MICRO_BATCH}"),
        {"micro_batches": ...},
    ),
}
"""By name: what overrides the recipe, and what the plan is beside it."""
KINDS = ("int64", "float64", "float32", "broadcast")
KIND_OF = {"pulse": "int64", "finite": "int64", "balance": "float64", "losses": "float64", "buffers": "broadcast"}


class CountingGroup(dist.ProcessGroup):
    """A gloo group that counts the bytes that this rank brings to each collective, by its kind and type of numbers."""

    counts: Counter[str] = Counter()

    def __init__(self, store: dist.Store, rank: int, size: int, timeout: timedelta) -> None:
        super().__init__(rank, size)
        self._gloo = dist.ProcessGroupGloo(store, rank, size, timeout)
        self._register_backend(torch.device("cpu"), dist.ProcessGroup.BackendType.GLOO, self._gloo)
        self._set_default_backend(dist.ProcessGroup.BackendType.GLOO)

    def allreduce(self, tensors: list[Tensor], options: Any = None) -> Any:
        """Count and sum."""
        for tensor in tensors:
            self.counts[str(tensor.dtype).removeprefix("torch.")] += tensor.nbytes
        return self._gloo.allreduce(tensors, options)

    def broadcast(self, tensors: list[Tensor], options: Any = None) -> Any:
        """Count and send to all."""
        self.counts["broadcast"] += sum(tensor.nbytes for tensor in tensors)
        return self._gloo.broadcast(tensors, options)

    def allgather(self, gathered: list[list[Tensor]], tensors: list[Tensor], options: Any = None) -> Any:
        """Count and gather: at the beginning, at evaluations and checkpoints."""
        self.counts["gathered"] += sum(tensor.nbytes for tensor in tensors)
        return self._gloo.allgather(gathered, tensors, options)

    def getBackendName(self) -> str:
        """Return what torch takes it for."""
        return "gloo"


def main() -> int:
    """Measure, print, save; 1 if the model is wrong anywhere."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="faces packed by 'descant pack mtfl', such as data/demo/faces")
    args = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    with tempfile.TemporaryDirectory() as folder:
        measured, networks = measure(args.data, Path(folder))
    results = {
        f"{case}, {ranks} ranks": result(networks[case], plan_of(case, ranks), ranks, *measured[ranks][case])
        for case in CASES
        for ranks in RANKS
    }
    rows = [[*name.rsplit(", ", 1), *_cells(found)] for name, found in results.items() if found["measured"]]
    print(table(["case", "ranks", *KINDS, "wire, model", "wire, measured"], rows))
    print(f"saved in {save('communication', results)}")
    wrong = [name for name, found in results.items() if not is_right(found)]
    print(f"the model is wrong in: {'; '.join(wrong)}" if wrong else "the model is right to the byte")
    return 1 if wrong else 0


def result(network: Network, plan: Plan, ranks: int, found: dict[str, float], wire_bytes: float) -> dict[str, Any]:
    """Return what is said and what was counted; a rank alone sums with itself, of which nothing comes to the wire."""
    parts = step_parts(network, plan)
    said = dict.fromkeys(KINDS, 0.0)
    for name, part in parts.items():
        said[KIND_OF.get(name, "float32")] += part.payload_bytes
    on_wire = ranks * sum(part.wire_bytes(ranks) for part in parts.values())
    wire = {"wire_model": round(on_wire), "wire_measured": round(wire_bytes)}
    return {"model": said if ranks > 1 else {}, "measured": found if ranks > 1 else {}, **wire}


def is_right(found: Mapping[str, Any]) -> bool:
    """Return whether the payload is as said, and the wire carries it and at most a fifth more, of headers.

    What two runs send beside their steps is not the same to the byte: a fiftieth less on the wire is no fault.
    """
    least, most = 0.98 * found["wire_model"], 1.2 * found["wire_model"]
    return bool(found["model"] == found["measured"] and least <= found["wire_measured"] <= most)


def _cells(found: Mapping[str, Any]) -> list[str]:
    said, counted = found["model"], found["measured"]
    cells = [
        f"{counted[kind]:,.0f}" + ("" if counted[kind] == said[kind] else f" ≠ {said[kind]:,.0f}") for kind in KINDS
    ]
    return [*cells, amount(found["wire_model"]), amount(found["wire_measured"])]


def plan_of(case: str, ranks: int) -> Plan:
    """Return the plan of a case; micro-batches are cut from a rank's own rows."""
    given = dict(CASES[case][1])
    if "micro_batches" in given:
        given["micro_batches"] = math.ceil(math.ceil(BATCH / ranks) / MICRO_BATCH)
    return Plan(**{"tasks": 5, "rows": ranks * math.ceil(BATCH / ranks), **given})


def measure(data: str, folder: Path) -> tuple[dict[int, dict[str, tuple[dict[str, float], float]]], dict[str, Network]]:
    """Return what a step sends by ranks and case: payload by kind, and bytes on the wire; and each case's network."""
    requests: dict[int, list[dict[str, Any]]] = {size: [] for size in RANKS}
    networks: dict[str, Network] = {}
    for number, (case, (overrides, _)) in enumerate(CASES.items()):
        for steps in STEPS:
            run = folder / f"{number}-{steps}"
            request, networks[case] = prepared(data, run, steps, overrides)
            for size in RANKS:
                own = folder / f"{size}" / run.name
                shutil.copytree(request["folder"], own)
                requests[size].append({**request, "folder": str(own)})
    (folder / "requests.json").write_text(json.dumps(requests))
    multiprocessing.get_context("forkserver").set_forkserver_preload(["torch", "timm", "descant.loop.worker"])
    torch.multiprocessing.start_processes(work_all, (str(folder),), nprocs=max(RANKS), start_method="forkserver")
    measured: dict[int, dict[str, tuple[dict[str, float], float]]] = {}
    for size in RANKS:
        runs = json.loads((folder / f"counts-{size}.json").read_text())
        for place, case in enumerate(CASES):
            short, long = runs[2 * place], runs[2 * place + 1]
            each = {kind: (long.get(kind, 0) - short.get(kind, 0)) / (STEPS[1] - STEPS[0]) for kind in (*KINDS, "wire")}
            measured.setdefault(size, {})[case] = {kind: each[kind] for kind in KINDS}, each["wire"]
    return measured, networks


def prepared(data: str, folder: Path, steps: int, overrides: Sequence[str]) -> tuple[dict[str, Any], Network]:
    """Return a request, and the sizes of its network."""
    from descant.launch.prepare import prepare
    from descant.loop.experiment import Experiment
    from descant.loop.ranks import Ranks
    from descant.loop.rehearsal import rehearse

    where = [f"data={data}", f"run.dir={folder.parent}", f"run.name={folder.name}", f"trainer.steps={steps}"]
    launch = prepare(RECIPE, [*where, *ALWAYS, *overrides])
    experiment = Experiment.build(launch.recipe)
    assert experiment.order(experiment.reader("train"), Ranks()).batches >= STEPS[1], "the data set is too small"
    model = experiment.build_model()
    norms = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    rehearse(model, experiment.inputs, experiment.tasks)
    trained, shared = (
        sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
        for module in (model, model.sharing)
    )
    held = sum(buffer.nbytes for buffer in model.buffers())
    return dataclasses.asdict(launch.request), Network(
        trained, shared, len(norms), sum(norm.num_features for norm in norms), held
    )


def work_all(rank: int, folder: str) -> None:
    """Train all runs of all sizes on one rank, and write down the first rank's counts."""
    from descant.loop.ranks import Ranks
    from descant.loop.worker import work
    from descant.run.request import RunRequest

    torch.set_num_threads(1)
    dist.Backend.register_backend("counting", CountingGroup, devices=["cpu"])
    requests = json.loads((Path(folder) / "requests.json").read_text())
    for size in RANKS:
        if rank >= size:
            continue
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}
        os.environ.update({name: str(value) for name, value in place.items()})
        store = dist.FileStore(f"{folder}/store-{size}", size)
        dist.init_process_group("counting", store=store, rank=rank, world_size=size)
        counted = []
        for request in requests[str(size)]:
            dist.all_reduce(torch.zeros(1))  # all are here: what others do is no part of a run
            CountingGroup.counts.clear()
            before_bytes = loopback_bytes()
            work(RunRequest(**request), Ranks(rank, size, rank, size), lambda: False)
            dist.all_reduce(torch.zeros(1))
            counted.append({**CountingGroup.counts, "wire": loopback_bytes() - before_bytes})
        if rank == 0:
            (Path(folder) / f"counts-{size}.json").write_text(json.dumps(counted))
        dist.destroy_process_group()


def loopback_bytes() -> int:
    """Return how many bytes the loopback device has sent."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[8])
    return 0


if __name__ == "__main__":
    sys.exit(main())
