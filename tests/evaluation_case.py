"""A small model on made-up frames with missing labels and unreadable rows, to be evaluated on any number of ranks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

import contrastive_case
from batch_norm_case import every_kind
from descant import BinaryAttributes, Classification, Reconstruction, Regression, Task
from descant.data.batch import BadSample, Batch
from descant.data.description import Field
from descant.data.order import EvaluationOrder
from descant.inputs import Input, MelInput
from descant.loop.evaluate import Scores, evaluate
from descant.loop.ranks import Ranks
from descant.model import MultiTaskModel
from descant.schedules import Constant
from descant.sharing import HardSharing
from descant.tasks import Contrastive
from descant.trunks import build_trunk

SAMPLES, BATCH, VIEWS, FRAMES, BANDS = 45, 8, 2, 6, 5
FIELDS = {
    "mel": Field("array", "npy"),
    "genre": Field("class", classes=("a", "b", "c", "d")),
    "age": Field("number"),
    "traits": Field("number", shape=(3,)),
}


class Genre(Classification):
    label = "genre"


class Age(Regression):
    label = "age"


class Traits(BinaryAttributes):
    label = "traits"


INPUTS: dict[str, Input] = {"mel": MelInput("mel", FIELDS, crop_frames=FRAMES, bands=BANDS, views=VIEWS)}


def tasks() -> dict[str, Task]:
    """One task of each kind, one that holds samples against each other, and one that no sample teaches."""
    shapes = {"mel": (FRAMES, BANDS)}
    kinds: dict[str, type[Task]] = {
        "genre": Genre,
        "age": Age,
        "traits": Traits,
        "back": Reconstruction,
        "apart": Contrastive,
    }
    kinds["never"] = Age
    return {name: kind(name, FIELDS, shapes) for name, kind in kinds.items()}


def model() -> MultiTaskModel:
    """The same weights in every process."""
    torch.manual_seed(0)
    made, shapes = tasks(), {"mel": (FRAMES, BANDS)}
    features = {name: task.feature for name, task in made.items()}
    sharing = HardSharing(lambda: build_trunk("bilstm", {"hidden": [4]}, shapes), features, shapes)
    heads = {name: task.head(sharing.shapes[name]) for name, task in made.items()}
    return MultiTaskModel(sharing, heads, dict.fromkeys(made, Constant(1.0)))


def everything() -> dict[str, torch.Tensor]:
    """All samples: frames of both views, targets, and who has which label; every seventh could not be read."""
    generator = torch.Generator().manual_seed(1)
    number = torch.arange(SAMPLES)
    traits = torch.randint(2, (SAMPLES, 3), generator=generator).float()
    traits[::5, 1] = torch.nan
    return {
        "mel": torch.randn(SAMPLES, VIEWS, FRAMES, BANDS, generator=generator),
        "genre": torch.randint(4, (SAMPLES,), generator=generator),
        "age": 1e6 * torch.randn(SAMPLES, 1, generator=generator),
        "traits": traits,
        "valid": number % 7 != 3,
        "has genre": number > 20,
        "has age": number % 2 == 0,
        "has traits": number % 3 != 1,
    }


def batches(rank: int, world_size: int) -> Iterator[Batch]:
    """This rank's batches."""
    data = everything()
    task, order = tasks()["apart"], EvaluationOrder(SAMPLES, BATCH, rank, world_size)
    for place in order.walk():
        rows = order.slice(*place).samples
        valid = data["valid"][rows]
        present = {name: data[f"has {name}"][rows] & valid for name in ("genre", "age", "traits")}
        targets = {name: data[name][rows] for name in present}
        bad = [BadSample("shard", str(row), "decode", "cut off") for row in rows[~valid.numpy()]]
        yield Batch(
            [str(row) for row in rows],
            {"mel": {"value": data["mel"][rows].flatten(0, 1)}},
            {**targets, "never": data["age"][rows]},
            {**present, "back": valid, "apart": valid, "never": torch.zeros(len(rows), dtype=torch.bool)},
            valid,
            VIEWS,
            bad,
            drawn={"apart": torch.from_numpy(np.stack([task.draw(np.random.default_rng(row)) for row in rows]))},
        )


def scores(rank: int, world_size: int) -> Scores:
    """The scores as this rank sees them."""
    net, threads = model().train(), torch.get_num_threads()
    torch.set_num_threads(1)  # as each rank has: a matrix product rounds otherwise with more
    found = evaluate(net, tasks(), INPUTS, batches(rank, world_size), torch.device("cpu"), Ranks(rank, world_size))
    torch.set_num_threads(threads)
    assert net.training, "an evaluation leaves the mode as it was"
    return found


def values_on(rank: int, world_size: int) -> tuple[Any, ...]:
    """All that ranks have to agree on, and this rank's bad samples."""
    found = scores(rank, world_size)
    values = {**found.values, "parts": found.part_losses["traits"]}
    return values, found.samples, found.total, [one.key for one in found.bad]


def values_and_norms(rank: int, world_size: int) -> dict[str, Any]:
    """Return what the tests of evaluation, of normalisation and of contrastive tasks compare between ranks."""
    return {
        "scores": values_on(rank, world_size),
        "norms": every_kind(rank, world_size),
        "contrast": contrastive_case.steps(rank, world_size),
    }
