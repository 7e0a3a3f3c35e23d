"""Builds what a recipe names: data, inputs, tasks, model."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from descant.balance import LossBalancer, balancers
from descant.data.description import Description, describe, fingerprint
from descant.data.order import TrainingOrder
from descant.data.reader import SplitReader
from descant.errors import UserError
from descant.inputs import Input, inputs
from descant.loop.ranks import Ranks
from descant.model import MultiTaskModel
from descant.recipe import Recipe
from descant.recipe.settings import TASK_KEYS
from descant.schedules import Schedule, parse_schedule
from descant.sharing import Sharing, sharings
from descant.tasks import Task, tasks
from descant.trunks import Trunk, build_trunk


@dataclass(frozen=True)
class Experiment:
    """A recipe bound to its data set.

    Attributes:
        recipe: what to do.
        folder: the data set's folder.
        description: what the data set holds.
        inputs: by name.
        tasks: by name, main first.
        schedules: each task's loss weight over the epochs.
    """

    recipe: Recipe
    folder: Path
    description: Description
    inputs: Mapping[str, Input]
    tasks: Mapping[str, Task]
    schedules: Mapping[str, Schedule]

    @classmethod
    def build(cls, recipe: Recipe, data: str | None = None) -> Experiment:
        """Bind a recipe to its data set; ``data`` is another way to its folder.

        Raises:
            UserError: the data set is missing, or lacks what the recipe's inputs and tasks read.
        """
        folder = Path(data or recipe.data)
        return cls.bind(recipe, folder, open_data(folder, recipe.data_help))

    @classmethod
    def bind(cls, recipe: Recipe, folder: Path, description: Description) -> Experiment:
        """Bind a recipe to a data set that is described already.

        Raises:
            UserError: it lacks what the recipe's inputs and tasks read.
        """
        fields = dict(description.fields)
        if not recipe.inputs:
            raise UserError("the recipe has no inputs: give one, such as inputs: {mel: {crop_frames: 256}}")
        made = {
            name: inputs.build(part.name, part.options, name=name, fields=fields)
            for name, part in recipe.inputs.items()
        }
        if len({input.views for input in made.values()}) > 1:
            views = ", ".join(f"{name} {input.views}" for name, input in made.items())
            raise UserError(f"the recipe's inputs have different numbers of views ({views}): give all the same")
        shapes = {name: input.shape for name, input in made.items()}
        bound, schedules = {}, {}
        for name, settings in recipe.tasks.items():
            bound[name] = tasks.build(name, settings.options, also=TASK_KEYS, name=name, fields=fields, inputs=shapes)
            default = 1.0 if settings.role == "main" else bound[name].default_weight
            schedules[name] = settings.weight or parse_schedule(f"tasks.{name}.weight", default)
        return cls(recipe, folder, description, made, bound, schedules)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each input's shape, without the batch."""
        return {name: input.shape for name, input in self.inputs.items()}

    def reader(self, split: str) -> SplitReader:
        """Return the reader of a split."""
        return SplitReader(self.folder, self.description, split)

    def order(self, reader: SplitReader, ranks: Ranks) -> TrainingOrder:
        """Return the order in which the training split's samples come to one of ``ranks``.

        It hangs on what the shards hold now, so that a shard put in another's place is noticed.
        """
        data = fingerprint({self.description.fingerprint: reader.indexes})
        batch_size = self.recipe.trainer.batch_size
        return TrainingOrder(self.recipe.seed, data, len(reader), batch_size, ranks.rank, ranks.world_size)

    def build_model(self) -> MultiTaskModel:
        """Return the model with its initial weights, a pure function of the recipe.

        The trunk and each head draw from seeds of their own, so a task more or less changes no other's start.
        """
        recipe = self.recipe
        with _seeded(recipe.seed, "trunk"):
            sharing: Sharing = sharings.build(
                recipe.sharing.name,
                recipe.sharing.options,
                make_trunk=self._make_trunk,
                features={name: task.feature for name, task in self.tasks.items()},
                inputs=self.shapes,
            )
        heads: dict[str, nn.Module] = {}
        for name, task in self.tasks.items():
            with _seeded(recipe.seed, f"head {name}"):
                heads[name] = task.head(sharing.shapes[name])
        return MultiTaskModel(sharing, heads, {name: recipe.tasks[name].gradient for name in self.tasks})

    def on(self, data: str) -> Experiment:
        """Return the same inputs and tasks for another data set; tasks it has no labels for are left out.

        Raises:
            UserError: there is no data set, or it lacks an input or the main task's label.
        """
        folder = Path(data)
        description = open_data(folder)
        again = Experiment.bind(self.recipe, self.folder, self.description)
        inputs_there = {
            name: inputs.build(part.name, part.options, name=name, fields=description.fields)
            for name, part in self.recipe.inputs.items()
        }
        tasks_there = {}
        for name, task in again.tasks.items():
            if task.label is None or task.label in description.fields or name == self.recipe.main:
                task.read_from(description.fields)
                tasks_there[name] = task
        return dataclasses.replace(self, folder=folder, description=description, inputs=inputs_there, tasks=tasks_there)

    def build_balancer(self) -> LossBalancer:
        """Return the recipe's balancer at its start."""
        balance = self.recipe.balance
        return balancers.build(balance.name, balance.options, tasks=list(self.tasks))

    def _make_trunk(self) -> Trunk:
        trunk = self.recipe.trunk
        return build_trunk(trunk.name, trunk.options, self.shapes)


def open_data(folder: Path, how_to_make_it: str = "") -> Description:
    """Return a data set's description, each label's class counts in the training split put into its field.

    Raises:
        UserError: there is no data set in ``folder``.
    """
    if not folder.exists():
        how = how_to_make_it or "make one with 'descant pack', or try 'descant data demo'"
        raise UserError(f"there is no data set at {str(folder)!r}: {how}")
    description = describe(folder)
    train = description.splits.get("train")
    counts = train.counts if train else {}
    fields = {
        name: dataclasses.replace(field, counts=tuple(counts.get(name, ())))
        for name, field in description.fields.items()
    }
    return dataclasses.replace(description, fields=fields)


@contextmanager
def _seeded(seed: int, part: str) -> Iterator[None]:
    digest = hashlib.blake2b(f"{seed} {part}".encode(), digest_size=7).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest, "little"))
        yield
