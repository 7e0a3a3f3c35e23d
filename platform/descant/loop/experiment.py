"""Builds what a recipe names: data, inputs, tasks, model."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from descant.balance import Balancer, balancers
from descant.data.description import Description
from descant.data.mixup import Mixup
from descant.data.order import TrainingOrder
from descant.data.sources import DataSets, JoinedReader
from descant.errors import UserError
from descant.inputs import Input, inputs
from descant.loop.ranks import Ranks
from descant.model import MultiTaskModel
from descant.recipe import BALANCE_KEYS, DataSettings, Recipe
from descant.recipe.task_settings import STOP_KEYS, TASK_KEYS
from descant.schedules import Schedule, parse_schedule
from descant.sharing import Sharing, sharings
from descant.stopping import StopRule, rules
from descant.tasks import Task, tasks
from descant.tasks.fusion import together
from descant.trunks import Trunk, build_trunk


@dataclass(frozen=True)
class Experiment:
    """A recipe bound to its data set.

    Attributes:
        recipe: what to do.
        data: the data set, or several.
        inputs: by name.
        tasks: by name, main first.
        schedules: each task's loss weight over the epochs.
        stop_rules: of the tasks that have one.
    """

    recipe: Recipe
    data: DataSets
    inputs: Mapping[str, Input]
    tasks: Mapping[str, Task]
    schedules: Mapping[str, Schedule]
    stop_rules: Mapping[str, StopRule]

    @classmethod
    def build(cls, recipe: Recipe, *, tests: bool = True) -> Experiment:
        """Bind a recipe to its data; without ``tests`` to all but its test split.

        Raises:
            UserError: a data set is missing, or lacks what the recipe's inputs and tasks read.
        """
        return cls.bind(recipe, DataSets.open(recipe.data, recipe.data_help, () if tests else ("test",)))

    @classmethod
    def bind(cls, recipe: Recipe, data: DataSets) -> Experiment:
        """Bind a recipe to data that is described already.

        Raises:
            UserError: it lacks what the recipe's inputs and tasks read.
        """
        fields = dict(data.description.fields)
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
            if any(input.mirrors for input in made.values()):
                bound[name].check_mirrored()
        stop_rules = {
            name: rules.build(settings.stop.rule.name, settings.stop.rule.options, also=STOP_KEYS)
            for name, settings in recipe.tasks.items()
            if settings.stop is not None
        }
        return cls(recipe, data, made, bound, schedules, stop_rules)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each input's shape, without the batch."""
        return {name: input.shape for name, input in self.inputs.items()}

    @property
    def description(self) -> Description:
        """What the data holds."""
        return self.data.description

    def reader(self, split: str) -> JoinedReader:
        """Return the reader of a split."""
        return self.data.reader(split)

    def order(self, reader: JoinedReader, ranks: Ranks) -> TrainingOrder:
        """Return the order in which the training split's samples come to one of ``ranks``."""
        streams, homogeneous = self.data.streams(reader), self.recipe.data.homogeneous
        batch_size = self.recipe.trainer.batch_size
        return TrainingOrder(self.recipe.seed, streams, batch_size, ranks.rank, ranks.world_size, homogeneous)

    @property
    def mixup(self) -> Mixup | None:
        """How training samples are mixed, None where they are not."""
        trainer, settings = self.recipe.trainer, self.recipe.tasks
        if trainer.mixup_alpha is None:
            return None
        asked = {name: settings[name].mixup for name in self.tasks}
        takes = {name for name, task in self.tasks.items() if (task.mixup if asked[name] is None else asked[name])}
        return Mixup(trainer.mixup_alpha, trainer.mixup_chance, frozenset(takes))

    def build_model(self) -> MultiTaskModel:
        """Return the model with its initial weights, a pure function of the recipe.

        The trunk and each head draw from seeds of their own, so a task more or less changes no other's start.
        """
        recipe = self.recipe
        with _seeded(recipe.seed, "sharing"):
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
        gradients = {name: recipe.tasks[name].gradient for name in self.tasks}
        return MultiTaskModel(sharing, heads, gradients, self._groups(sharing))

    def _groups(self, sharing: Sharing) -> list[tuple[str, ...]]:
        """Return the tasks whose heads become one matrix product: as many as go together.

        Not those whose rows stop one by one, nor those that a batch may come without: the optimizer's memory of fused
        heads is one.
        """
        whole = {}
        for name, task in self.tasks.items():
            stop = self.recipe.tasks[name].stop
            if (stop is None or stop.per is None) and self._is_in_each_batch(task):
                whole[name] = task
        return [group for group in together(whole, sharing.feature_key) if len(group) > 1]

    def _is_in_each_batch(self, task: Task) -> bool:
        """Return whether a global batch without a label of the task is as good as impossible, as far as is known."""
        split = self.description.splits["train"]
        labels = sum(split.counts.get(task.label or "", [])) or split.samples
        expected = labels / max(split.samples, 1) * self.recipe.trainer.batch_size
        is_likely = expected >= _SURE and not self.recipe.data.homogeneous  # else whole batches are of one data set
        return labels == split.samples or is_likely

    def only(self, names: Collection[str]) -> Experiment:
        """Return the same with these of its tasks alone."""
        return dataclasses.replace(self, tasks={name: task for name, task in self.tasks.items() if name in names})

    def on(self, place: str) -> Experiment:
        """Return the same inputs and tasks for another data set; tasks it has no labels for are left out.

        Raises:
            UserError: there is no data set, or it lacks an input or the main task's label.
        """
        data = DataSets.open(DataSettings.parse(place))
        fields = data.description.fields
        again = Experiment.bind(self.recipe, self.data)
        inputs_there = {
            name: inputs.build(part.name, part.options, name=name, fields=fields)
            for name, part in self.recipe.inputs.items()
        }
        tasks_there = {}
        for name, task in again.tasks.items():
            if task.label is None or task.label in fields or name == self.recipe.main:
                task.read_from(fields)
                tasks_there[name] = task
        return dataclasses.replace(self, data=data, inputs=inputs_there, tasks=tasks_there)

    def build_balancer(self) -> Balancer:
        """Return the recipe's balancer at its start."""
        method = self.recipe.balance.method
        return balancers.build(method.name, method.options, also=BALANCE_KEYS, tasks=list(self.tasks))

    def _make_trunk(self) -> Trunk:
        trunk = self.recipe.trunk
        with _seeded(self.recipe.seed, "trunk"):  # the same at each call
            return build_trunk(trunk.name, trunk.options, self.shapes)


_SURE = 20  # labels in a batch, on average, at which one in 500 million has none


@contextmanager
def _seeded(seed: int, part: str) -> Iterator[None]:
    digest = hashlib.blake2b(f"{seed} {part}".encode(), digest_size=7).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest, "little"))
        yield
