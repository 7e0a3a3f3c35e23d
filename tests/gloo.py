"""Runs a function on several real processes that gloo joins on this machine."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def run_on_ranks(world_sizes: Sequence[int], function: Callable[[int, int], Any]) -> dict[int, list[Any]]:
    """Return what ``function(rank, world_size)`` gives on each rank, by world size; it has to be one of a module.

    The same processes serve all sizes, forked from one that has imported what takes seconds, and done nothing else.
    """
    import torch
    import torch.multiprocessing

    multiprocessing.get_context("forkserver").set_forkserver_preload(["torch", "timm", "descant.loop.worker"])
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(
            _rank, (folder, tuple(world_sizes), function), nprocs=max(world_sizes), start_method="forkserver"
        )
        return {
            size: [torch.load(Path(folder) / f"{size} {rank}", weights_only=False) for rank in range(size)]
            for size in world_sizes
        }


def _rank(rank: int, folder: str, world_sizes: tuple[int, ...], function: Callable[[int, int], Any]) -> None:
    import torch
    import torch.distributed

    torch.set_num_threads(1)
    for size in world_sizes:
        if rank >= size:
            continue
        store = torch.distributed.FileStore(f"{folder}/store {size}", size)
        torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=size)
        try:
            torch.save(function(rank, size), Path(folder) / f"{size} {rank}")
            torch.distributed.barrier()
        finally:
            torch.distributed.destroy_process_group()
