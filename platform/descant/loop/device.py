"""What a rank computes on, and how many processes read for it."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from descant.cores import usable_cores
from descant.loop.ranks import Ranks
from descant.recipe import TrainerSettings

_MOST_LOADER_WORKERS = 4


def make_accelerator(settings: TrainerSettings, ranks: Ranks) -> Accelerator:
    """Return accelerate's handle of device, precision and gradient reduction.

    On a CPU it has to be told so, else it would train replicas that never exchange gradients.
    """
    AcceleratorState._reset_state(reset_partial_state=True)
    precision = "no" if settings.precision == "fp32" else settings.precision
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=precision)
    assert accelerator.num_processes == ranks.world_size, (
        f"accelerate sees {accelerator.num_processes} processes, the runner started {ranks.world_size}"
    )
    if settings.deterministic:
        torch.use_deterministic_algorithms(True)
    return accelerator


def loader_workers(settings: TrainerSettings, ranks: Ranks) -> int:
    """Return how many loader processes this rank starts: the recipe's number, or a share of the cores left over."""
    if settings.loader_workers is not None:
        return settings.loader_workers
    spare = usable_cores() - ranks.local_world_size
    return min(max(spare // ranks.local_world_size, 0), _MOST_LOADER_WORKERS)


def share_cores(workers: int, ranks: Ranks) -> None:
    """Leave ``workers`` loader processes a core each, unless OMP_NUM_THREADS says how many threads torch has.

    Threads of torch that wait for one that has no core spin, and a step then takes many times as long.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(usable_cores() // ranks.local_world_size - workers, 1))
