"""What can be known to be wrong before anything trains."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch

from descant.data.sources import JoinedReader
from descant.errors import UserError
from descant.loop.balance_checks import check_method, check_reach
from descant.loop.batch_norm import globalise
from descant.loop.checkpoints import Checkpoints
from descant.loop.experiment import Experiment
from descant.loop.optimizer import build_optimizer
from descant.loop.ranks import Ranks
from descant.loop.rehearsal import rehearse
from descant.model import MultiTaskModel
from descant.recipe import parse_recipe
from descant.run.folder import RunFolder
from descant.schedules import Constant

logger = logging.getLogger("descant")
_MOST_LABELS = 20_000


def check(experiment: Experiment) -> None:
    """Raise a UserError for sizes, splits, shapes, losses, features and options that do not go together."""
    _check_data(experiment)
    recipe = experiment.recipe
    if not experiment.tasks[recipe.main].metrics():
        raise UserError(f"the main task {recipe.main!r} has no metric to choose the best epoch by: name one")
    check_method(experiment)
    model = experiment.build_model()
    norms = globalise(model, Ranks())
    for norm in norms:
        norm.valid_B = torch.tensor([True, False])  # as in a batch with a sample that cannot be read
    _check_gates(experiment)
    _check_parts(experiment, model)
    check_reach(experiment, model)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    reached = set().union(*rehearse(model, experiment.inputs, experiment.tasks).values())
    unreached = [name for name in trained if name not in reached]
    if norms and recipe.trainer.micro_batch is not None:
        logger.warning(
            "the trunk normalises over micro-batches of %d samples of each worker (trainer.micro_batch), so results "
            "depend on the number of workers",
            recipe.trainer.micro_batch,
        )
    if unreached:
        more = f" and {len(unreached) - 3} more" if len(unreached) > 3 else ""
        logger.warning(
            "no task's gradient reaches %s%s: no feature that a task reads is made with them; they stay as they start",
            ", ".join(unreached[:3]),
            more,
        )
    build_optimizer(recipe.optimizer, model.parameters())


def _check_gates(experiment: Experiment) -> None:
    """Refuse stop rules that compare a gradient which never reaches what is shared."""
    for name, rule in experiment.stop_rules.items():
        if rule.reads_alignment and experiment.recipe.tasks[name].gradient == Constant(0.0):
            raise UserError(
                f"tasks.{name}.stop compares the task's gradient with the main task's, but tasks.{name}.gradient "
                f"blocks it: let it pass, or take a rule that goes by losses"
            )


def _check_parts(experiment: Experiment, model: MultiTaskModel) -> None:
    """Refuse stop rules for parts of a task that it does not have, or that cannot stay as they are one by one."""
    for name, rule in experiment.stop_rules.items():
        stop, task = experiment.recipe.tasks[name].stop, experiment.tasks[name]
        if stop is None or stop.per is None:
            continue
        where = f"tasks.{name}.stop"
        if stop.per != task.part:
            whole = "tasks of its kind stop as a whole (those of BinaryAttributes may stop by attribute): take it out"
            allowed = whole if task.part is None else f"allowed is {task.part!r}"
            raise UserError(f"{where}.per is {stop.per!r}, but {allowed}")
        if rule.reads_alignment:
            raise UserError(
                f"{where} asks the rule {stop.rule.name!r} for each {stop.per}, but gradients are compared by task: "
                f"take 'per' out, or another rule"
            )
        rows, weights = model.head_rows(name), list(model.heads[name].parameters())
        if not rows:
            raise UserError(
                f"{where} stops each {stop.per} by itself, but the head of the task has no row of weights for each: "
                f"take 'per' out, or the head 'linear' or 'mlp'"
            )
        if stop.action == "restore" and len(rows) < len(weights):
            raise UserError(
                f"{where} would put back the head of each {stop.per}, but hidden layers are of all of them: "
                f"set action=freeze, or take the head 'linear'"
            )


def _check_data(experiment: Experiment) -> None:
    experiment.data.check_shards()
    trainer, order = experiment.recipe.trainer, experiment.order(experiment.reader("train"), Ranks())
    if trainer.batch_size > order.samples:
        raise UserError(
            f"trainer.batch_size is {trainer.batch_size}, but the training split has {order.samples} samples: "
            f"give at most {order.samples}"
        )
    if "validation" not in experiment.description.splits:
        raise UserError(
            f"the data set {str(experiment.data)!r} has no split 'validation', which chooses the best epoch: "
            f"add shards named validation-000000.tar"
        )
    experiment.reader("validation")
    _check_inputs(experiment)
    _check_labels(experiment)


def _check_labels(experiment: Experiment) -> None:
    """Refuse tasks that cannot be judged on the validation split, or learn nothing from the training split."""
    counts, main = experiment.description.splits["validation"].counts, experiment.recipe.main
    for name in (main, *experiment.stop_rules):
        label = experiment.tasks[name].label
        if label is not None and not sum(counts.get(label, [1])):
            of = f"the main task {name!r}, which chooses the best epoch"
            rule = f"the task {name!r}, whose stop rule goes by it"
            raise UserError(
                f"no sample of the validation split has the label {label!r} of {of if name == main else rule}: "
                f"add labels to it{'' if name == main else ', or take the rule out'}"
            )
    _name_lone_classes(experiment)
    for task in experiment.tasks.values():
        task.check_labels(_labels(experiment.reader("train")))


def _name_lone_classes(experiment: Experiment) -> None:
    """Name labels of which a split that is scored has one class alone: any constant answer is perfect there."""
    for split in ("validation", "test"):
        described = experiment.description.splits.get(split)
        for name, task in experiment.tasks.items():
            counts = () if described is None else described.counts.get(task.label or "", ())
            if len(counts) > 1 and sum(count > 0 for count in counts) == 1:
                logger.warning(
                    "all labels %r of the %s split are of one class: what %s is scored there says nothing",
                    task.label,
                    split,
                    name,
                )


def _labels(reader: JoinedReader) -> Iterator[Mapping[str, Any]]:
    """Yield the labels of the first samples that can be read."""
    for sample in range(min(len(reader), _MOST_LABELS)):
        with suppress(ValueError):  # training will put it into quarantine
            yield reader.labels(sample)


def _check_inputs(experiment: Experiment) -> None:
    """Refuse a data set, of several, that has nothing for an input: all its samples would count as unreadable."""
    for source in experiment.data.sources:
        kinds = {field.kind for field in source.description.fields.values()}
        for name, input in experiment.inputs.items():
            if kinds.isdisjoint(input.kinds):
                raise UserError(
                    f"the data set {source} has nothing for the input {name!r}, which reads "
                    f"{' or '.join(input.kinds)}: it holds {', '.join(source.description.fields)}; take it out of data"
                )


def check_continues(experiment: Experiment, folder: RunFolder) -> None:
    """Raise a UserError when a run's last checkpoint cannot go on under this recipe; without one all can change."""
    shapes = Checkpoints(folder.checkpoints).shapes("last")
    if shapes is None:
        return
    recipe, before = experiment.recipe, parse_recipe(folder.resolved_recipe())
    for key, then, now in (
        ("seed", before.seed, recipe.seed),
        ("trainer.batch_size", before.trainer.batch_size, recipe.trainer.batch_size),
        ("optimizer.name", before.optimizer.name, recipe.optimizer.name),
        ("the tasks", ", ".join(before.tasks), ", ".join(recipe.tasks)),
    ):
        if then != now:
            raise UserError(f"the run {str(folder.path)!r} has {key}={then} and cannot go on with {now}: {_WAYS_OUT}")
    model = {name: tuple(value.shape) for name, value in experiment.build_model().state_dict().items()}
    other = next((name for name in {**shapes, **model} if shapes.get(name) != model.get(name)), None)
    if other is not None:
        raise UserError(
            f"the run {str(folder.path)!r} has weights of another model ({other}: {shapes.get(other, 'absent')} there, "
            f"{model.get(other, 'absent')} by this recipe): {_WAYS_OUT}"
        )


_WAYS_OUT = "take the change back, or give a new run.name"
