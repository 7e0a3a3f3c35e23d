"""Task-wise early stopping: when the rules are asked, what stopping does, and when it is taken back.

Decided after each evaluation, by the first rank for all; what it is decided from is in the checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from descant.loop.evaluate import Scores
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.model import MultiTaskModel
from descant.stopping import Curves, StopRule


@dataclass(frozen=True)
class Decision:
    """What a rule said of a task after an evaluation.

    Attributes:
        task: its name.
        measure: what the rule goes by, None where it is too early to tell or the task is stopped.
        threshold: above which the task stops.
        alignment: the mean cosine with the main task's gradient since the evaluation before, NaN without.
        stops: whether the task stops now.
        revives: whether it is taken up again.
    """

    task: str
    measure: float | None = None
    threshold: float = math.inf
    alignment: float = math.nan
    stops: bool = False
    revives: bool = False


@dataclass
class _Course:
    """What is known of one task that has a rule.

    Attributes:
        curves: since it began or was taken up again.
        began: in which epoch that was.
        stopped_epoch: where it stopped, None while it trains.
        loss: the validation loss where it stopped.
        head: of its best validation loss, where that may be put back.
        best_loss: that loss.
    """

    curves: Curves
    began: int = 0
    stopped_epoch: int | None = None
    loss: float = math.nan
    head: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = math.inf


class _Mean:
    """A mean over the time since the evaluation before."""

    def __init__(self, total: float = 0.0, count: float = 0.0) -> None:
        self.total, self.count = total, count

    def add(self, total: float, count: float) -> None:
        self.total, self.count = self.total + total, self.count + count

    def take(self) -> float:
        """Return the mean (NaN of nothing) and begin anew."""
        mean = self.total / self.count if self.count else math.nan
        self.total = self.count = 0.0
        return mean


class Stopping:
    """Which tasks of a run still train.

    Args:
        experiment: whose tasks may have stop rules.
        ranks: who decides alike.
    """

    def __init__(self, experiment: Experiment, ranks: Ranks) -> None:
        self._experiment, self._ranks = experiment, ranks
        self.rules: Mapping[str, StopRule] = experiment.stop_rules
        self._settings = {
            name: settings.stop for name, settings in experiment.recipe.tasks.items() if settings.stop is not None
        }
        self._courses = {name: _Course(self._new_curves(name)) for name in self.rules}
        self._losses = {name: _Mean() for name in self.rules}
        self._alignments = {name: _Mean() for name in self.rules}

    @property
    def active(self) -> list[str]:
        """The tasks that train, main first."""
        stopped = {name for name, course in self._courses.items() if course.stopped_epoch is not None}
        return [name for name in self._experiment.tasks if name not in stopped]

    @property
    def scored(self) -> list[str]:
        """The tasks that are evaluated: all but those that were dropped."""
        active = self.active
        return [
            name
            for name in self._experiment.tasks
            if name in active or (name in self._settings and self._settings[name].action != "drop")
        ]

    @property
    def ended(self) -> bool:
        """Whether the main task has stopped, and the run with it."""
        return self._experiment.recipe.main not in self.active

    @property
    def aligned(self) -> list[str]:
        """The tasks whose rule wants to know how their gradients lie to the main task's."""
        active = self.active
        return [name for name, rule in self.rules.items() if rule.reads_alignment and name in active]

    def stopped(self, task: str) -> dict[str, Any] | None:
        """Return what ``summary.json`` says of a task that has stopped, None of one that has not."""
        course = self._courses.get(task)
        if course is None or course.stopped_epoch is None:
            return None
        settings = self._settings[task]
        return {"epoch": course.stopped_epoch, "rule": settings.rule.name, "action": settings.action}

    def add_losses(self, losses: Mapping[str, tuple[float, int]]) -> None:
        """Add training losses: by task the mean over all ranks and how many labels it is of."""
        for name, (mean, count) in losses.items():
            if name in self._losses:
                self._losses[name].add(mean * count, count)

    def add_alignments(self, cosines: Mapping[str, float]) -> None:
        """Add the cosines of tasks' gradients with the main task's; NaN where there is none."""
        for name, cosine in cosines.items():
            if not math.isnan(cosine):
                self._alignments[name].add(cosine, 1)

    def decide(self, epoch: int, scores: Scores, weights: Mapping[str, float], model: MultiTaskModel) -> list[Decision]:
        """Ask the rules after an evaluation, do what they say to ``model``, and return it; every rank calls it."""
        proposed = [self._judge(name, epoch, scores, weights[name], model) for name in self.rules]
        decisions = self._ranks.gather(proposed)[0]
        assert isinstance(decisions, list)
        for decision in decisions:
            self._follow(decision, epoch, scores, model)
        return decisions

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step."""
        courses = {name: {**vars(course), "curves": asdict(course.curves)} for name, course in self._courses.items()}
        return {
            "courses": courses,
            "losses": {name: [mean.total, mean.count] for name, mean in self._losses.items()},
            "alignments": {name: [mean.total, mean.count] for name, mean in self._alignments.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave; of tasks that had no rule then there is nothing."""
        for name in self._courses.keys() & state["courses"].keys():
            course = state["courses"][name]
            self._courses[name] = _Course(**{**course, "curves": Curves(**course["curves"])})
            self._losses[name] = _Mean(*state["losses"][name])
            self._alignments[name] = _Mean(*state["alignments"][name])

    def _judge(self, name: str, epoch: int, scores: Scores, weight: float, model: MultiTaskModel) -> Decision:
        """Add an evaluation to a task's curves and ask its rule."""
        course, settings = self._courses[name], self._settings[name]
        trained, aligned = self._losses[name].take(), self._alignments[name].take()
        if course.stopped_epoch is not None:
            revives = settings.revive is not None and self._loss(scores, name) > course.loss * (1 + settings.revive)
            return Decision(name, revives=revives and not self.ended)
        loss = self._loss(scores, name)
        if settings.action == "restore" and loss < course.best_loss:
            course.best_loss, course.head = loss, model.head_state(name)
        curves = course.curves
        values = scores.values[name]
        metric = next((value for key, value in values.items() if key != "loss"), math.nan)
        curves.epochs.append(epoch)
        curves.training_loss.append(trained)
        curves.validation_loss.append(loss)
        curves.metric.append(metric)
        curves.weight.append(weight)
        curves.alignment.append(aligned)
        measure, threshold = self.rules[name].measure(curves), self.rules[name].threshold
        stops = measure is not None and measure > threshold and epoch - course.began + 1 >= settings.min_epochs
        return Decision(name, measure, threshold, aligned, stops)

    def _follow(self, decision: Decision, epoch: int, scores: Scores, model: MultiTaskModel) -> None:
        course = self._courses[decision.task]
        if decision.stops:
            course.stopped_epoch, course.loss = epoch, self._loss(scores, decision.task)
            if course.head:
                model.load_head_state(decision.task, course.head)
                course.loss = course.best_loss
        elif decision.revives:
            self._courses[decision.task] = _Course(self._new_curves(decision.task), began=epoch + 1)

    def _new_curves(self, name: str) -> Curves:
        metric = next(iter(self._experiment.tasks[name].metrics().values()), None)
        return Curves("min" if metric is None else metric.direction)

    @staticmethod
    def _loss(scores: Scores, name: str) -> float:
        return scores.values[name]["loss"]
