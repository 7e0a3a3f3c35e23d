"""One step's gradients with a contrastive task, on one rank or on several that share the batch unevenly."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from descant.data.batch import Batch
from descant.loop.objective import Objective, outputs_of
from descant.loop.ranks import Ranks
from descant.model import MultiTaskModel
from descant.schedules import Constant
from descant.sharing import HardSharing
from descant.tasks import Contrastive, Task
from descant.trunks import build_trunk

SHAPES = {"mel": (6, 5)}
SLOTS = 12  # divisible by one, two and three ranks
VALID = [True] * 3 + [False, True] + [False] * 4 + [True, False, False]
"""The third of three ranks has one sample; of the two of two one has four."""
NONE_ON_THE_LAST = [True] * 5 + [False] * 7


def everything(valid: list[bool]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """All inputs and what is drawn; rows that do not count hold large numbers."""
    generator, rng = torch.Generator().manual_seed(1), np.random.default_rng(2)
    mel_BTM = torch.randn(SLOTS, 6, 5, generator=generator)
    mel_BTM[~torch.tensor(valid)] = 50.0
    task = tasks()["contrastive"]
    return {"mel": mel_BTM}, {"contrastive": torch.from_numpy(np.stack([task.draw(rng) for _ in range(SLOTS)]))}


def tasks() -> dict[str, Task]:
    return {"contrastive": Contrastive("contrastive", {}, SHAPES, projection=4, hidden=[8])}


def one_step(rank: int, world_size: int, valid: list[bool]) -> dict[str, Any]:
    """Return the loss over all ranks and the gradient summed over them."""
    ranks, made = Ranks(rank, world_size), tasks()
    torch.manual_seed(0)
    features = {"contrastive": "pooled"}
    sharing = HardSharing(lambda: build_trunk("bilstm", {"hidden": [4], "dropout": 0.0}, SHAPES), features, SHAPES)
    model = MultiTaskModel(sharing, {"contrastive": made["contrastive"].head((8,))}, {"contrastive": Constant(1.0)})
    whole, drawn = everything(valid)
    own = slice(rank * SLOTS // world_size, (rank + 1) * SLOTS // world_size)
    valid_B = torch.tensor(valid)[own]
    keys, drawn = ["?"] * len(valid_B), {name: value[own] for name, value in drawn.items()}
    batch = Batch(keys, {}, {}, {"contrastive": valid_B}, valid_B, drawn=drawn)
    inputs = {name: value[own] for name, value in whole.items()}
    objective = Objective(made, {"contrastive": Constant(1.0)})
    loss = objective.losses(outputs_of(model, made, batch, inputs, ranks), batch, inputs).sums_K.sum() / sum(valid)
    loss.backward()
    gradients = {name: ranks.sum(p.grad) for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": float(ranks.sum(loss.detach().clone())), "gradients": gradients}


def steps(rank: int, world_size: int) -> list[dict[str, Any]]:
    """Return what both batches give."""
    return [one_step(rank, world_size, valid) for valid in (VALID, NONE_ON_THE_LAST)]
