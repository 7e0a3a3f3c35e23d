"""Trains with real ranks that are killed at random moments, and writes down what each step consumed.

Run as a program: it imports torch once and forks the ranks of every attempt, so that an attempt costs a second.
Arguments: a JSON file with ``requests`` (one RunRequest for each attempt's settings), ``worlds``, ``kills``, ``seed``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed
import torch.utils.tensorboard  # for all ranks of all attempts

from descant.loop.checks import check
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.loop.step import Stepper, Taken
from descant.loop.worker import work
from descant.recipe import parse_recipe
from descant.run.request import RunRequest

PATIENCE_S = 120.0  # a bound for a hanging test, not a measure


def consumed_log(folder: Path) -> Path:
    """Return the file of (attempt, step, rank, keys) lines."""
    return folder / "consumed.jsonl"


def be_rank(request: RunRequest, attempt: int, rank: int, world: int, store: str) -> None:
    """Train as one rank, noting the keys of each slice once its optimizer step is done."""
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}
    os.environ.update({name: str(value) for name, value in place.items()})
    joined = torch.distributed.FileStore(store, world)
    torch.distributed.init_process_group("gloo", store=joined, rank=rank, world_size=world)
    take, update = Stepper.take, Stepper.update
    seen: list[Any] = []

    def noting_take(self: Stepper, step: int, seed: int, whole: Any, *rest: Any) -> Taken:
        seen[:] = [step, [key for key, valid in zip(whole.keys, whole.valid.tolist(), strict=True) if valid]]
        return take(self, step, seed, whole, *rest)

    def noting_update(self: Stepper, *arguments: Any, **named: Any) -> Any:
        norm = update(self, *arguments, **named)
        with consumed_log(Path(request.folder)).open("a") as file:
            file.write(json.dumps([attempt, seen[0], rank, seen[1]]) + "\n")
        return norm

    Stepper.take, Stepper.update = noting_take, noting_update  # type: ignore[method-assign]
    work(request, Ranks(rank, world, rank, world), lambda: False)


def start(request: RunRequest, attempt: int, world: int) -> list[int]:
    """Fork the ranks of an attempt; return their process ids."""
    store = tempfile.mktemp(prefix="store ")
    pids = []
    for rank in range(world):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                be_rank(request, attempt, rank, world, store)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    return pids


def steps_done(folder: Path) -> int:
    """Return how many lines the log has."""
    log = consumed_log(folder)
    return log.read_bytes().count(b"\n") if log.exists() else 0


def is_finished(folder: Path) -> bool:
    """Whether the run's summary says so."""
    summary = folder / "summary.json"
    return summary.exists() and json.loads(summary.read_text())["status"] == "finished"


def kill_at_random(folder: Path, pids: list[int], reach: int, rng: random.Random) -> None:
    """Wait for some steps more and kill one rank, then, as the runner does, those that are left."""
    target, deadline_s = steps_done(folder) + rng.randint(1, reach) * len(pids), time.monotonic() + PATIENCE_S
    while steps_done(folder) < target and not is_finished(folder):
        assert time.monotonic() < deadline_s, "no step for two minutes"
        time.sleep(0.002)
    time.sleep(rng.random() * 0.02)
    for pid in rng.sample(pids, len(pids)):
        os.kill(pid, signal.SIGKILL)


def main(arguments: Path) -> None:
    """Train until the run is finished, killing its ranks at random moments on the way."""
    given = json.loads(arguments.read_text())
    requests = [RunRequest.from_json(request) for request in given["requests"]]
    torch.set_num_threads(1)
    check(Experiment.build(parse_recipe(requests[0].recipe)))  # imports here, once, what every rank would import
    folder, rng = Path(requests[0].folder), random.Random(given["seed"])
    kills, attempt = 0, 0
    while not is_finished(folder):
        assert attempt < 3 * given["kills"], "the run does not end"
        world = given["worlds"][attempt % len(given["worlds"])]
        pids = start(requests[attempt % len(requests)], attempt, world)
        disturbed = kills < given["kills"]
        if disturbed:
            kill_at_random(folder, pids, given["reach"], rng)
            kills += 1
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        assert disturbed or codes == [0] * world, codes
        attempt += 1
    print(json.dumps({"attempts": attempt, "kills": kills}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
