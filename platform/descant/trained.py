"""A trained model out of a run folder: evaluate it, ask it for predictions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from descant.data.description import Description
from descant.data.infer import KINDS
from descant.data.sources import DataSets
from descant.errors import UserError, nearest
from descant.loop.checkpoints import Checkpoints
from descant.loop.details import plain, plain_details
from descant.loop.evaluate import evaluate_split
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.model import MultiTaskModel
from descant.plugins import load_plugins, read_plugins
from descant.recipe import parse_recipe, plugin_names
from descant.recipe.trust import check_own
from descant.redaction import redacted
from descant.run.folder import RunFolder


@dataclass(frozen=True)
class Trained:
    """The best checkpoint of a run, made after ``step`` steps, on the device that is there."""

    experiment: Experiment
    model: MultiTaskModel
    device: torch.device
    step: int

    def evaluate(self, split: str = "test") -> dict[str, Any]:
        """Return ``{"data", "split", "samples", "tasks": {name: {metric: value}}}`` of the bound data set's split.

        ``details`` are, by task and metric, the numbers by name that some metrics are made of.
        """
        with self._autocast():
            scores = evaluate_split(self.experiment, split, self.model, self.device, Ranks())
        return {
            "data": redacted(str(self.experiment.data)),
            "split": split,
            "samples": scores.total,
            "unreadable": len({(bad.shard, bad.key) for bad in scores.bad if bad.stage == "decode"}),
            "tasks": {task: plain(values) for task, values in scores.values.items()},
            "details": plain_details(scores),
        }

    def extensions(self, input: str) -> list[str]:
        """Return the extensions of the files that an input takes, sorted."""
        kinds = self.experiment.inputs[input].kinds
        return sorted(extension for extension, kind in KINDS.items() if kind in kinds)

    def _autocast(self) -> torch.autocast:
        """Compute as the run did."""
        is_mixed = self.experiment.recipe.trainer.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=is_mixed)

    @torch.no_grad()
    def predict(self, members: Mapping[str, bytes], tasks: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the answer of each of ``tasks`` for one sample, given the bytes of each input's file.

        Heads of other tasks are not computed.

        Raises:
            ValueError: a file does not decode.
        """
        views, ready = {}, {}
        for name, member in members.items():
            input = self.experiment.inputs[name]
            views[name] = input.evaluation_views(input.decode(member))
            arrays = {
                part: torch.from_numpy(np.stack([view.arrays[part] for view in views[name]])).to(self.device)
                for part in views[name][0].arrays
            }
            ready[name] = input.finish(arrays)
        with self._autocast():
            outputs = self.model(ready, tasks)
        answers = {}
        for name in tasks:
            task = self.experiment.tasks[name]
            prediction = task.predict(outputs[name]).float().mean(0).cpu().numpy()
            view = next((found[0] for found in views.values() if found[0].geometry is not None), None)
            answers[name] = task.answer(prediction, view)
        return answers


def load(run: str | Path, data: str | None = None) -> Trained:
    """Return the best checkpoint of the run in the folder ``run``, bound to its data set or to ``data``.

    Raises:
        UserError: there is no run, it has no checkpoint yet, or the data set lacks a field.
    """
    folder = RunFolder(Path(run).absolute())
    plain = folder.resolved_recipe()
    for copy in (folder.path / "plugins").glob("*.py"):
        check_own(copy)
    load_plugins(read_plugins(plugin_names(plain), [folder.path, Path.cwd()]))
    recipe = parse_recipe(plain)
    described = Description.read(folder.path)
    trained = Experiment.bind(recipe, DataSets(recipe.data, described))
    experiment = trained if data is None else trained.on(data)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    checkpoints = Checkpoints(folder.checkpoints)
    best, step = checkpoints.load("best"), checkpoints.step("best")
    if best is None or step is None:
        raise UserError(f"the run {str(run)!r} has no checkpoint that was evaluated yet: let it train for an epoch")
    model = trained.build_model()
    model.load_state_dict(best.model)
    return Trained(experiment, model.to(device).eval(), device, step)


def chosen_tasks(trained: Trained, wanted: str | None) -> list[str]:
    """Return the main task, or with ``wanted`` a comma-separated list of tasks, or ``all``."""
    names = list(trained.experiment.tasks)
    if wanted is None:
        return names[:1]
    if wanted == "all":
        return names
    for name in wanted.split(","):
        if name not in names:
            raise UserError(f"the run has no task {name!r}: {nearest(name, names)}")
    return wanted.split(",")
