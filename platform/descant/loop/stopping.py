"""Early stopping by task, or by part of a task: when rules are asked, what stopping does, and when it is taken back.

Decided after each evaluation, by the first rank for all; what it is decided from is in the checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from descant.loop.courses import Course, Decision, Mean, Subject
from descant.loop.evaluate import Scores
from descant.loop.experiment import Experiment
from descant.loop.ranks import Ranks
from descant.model import MultiTaskModel
from descant.stopping import Curves, StopRule


class Stopping:
    """Which tasks of a run still train, and which of their parts.

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
        self._subjects = {
            subject.name: subject for name in self.rules for subject in Subject.of(name, self._parts_of(name))
        }
        self._courses = {name: Course(self._new_curves(subject)) for name, subject in self._subjects.items()}
        self._suspended: dict[str, int] = {}
        self._losses = {name: Mean() for name in self._subjects}
        self._alignments = {name: Mean() for name in self._subjects}

    @property
    def active(self) -> list[str]:
        """The tasks that train, main first: those without a rule, and those of which something has not stopped."""
        going_on = {subject.task for name, subject in self._subjects.items() if self.trains(name)}
        return [
            name
            for name in self._experiment.tasks
            if (name not in self.rules or name in going_on) and name not in self._suspended
        ]

    @property
    def parts(self) -> dict[str, dict[str, bool]]:
        """Of each task whose parts stop one by one: which of them train, in the order of its outputs."""
        found: dict[str, dict[str, bool]] = {}
        for name, subject in self._subjects.items():
            if subject.part is not None:
                found.setdefault(subject.task, {})[subject.part] = self.trains(name)
        return found

    @property
    def scored(self) -> list[str]:
        """The tasks that are evaluated: all but those that were dropped."""
        active = self.active
        return [
            name
            for name in self._experiment.tasks
            if name in active or name not in self._settings or self._settings[name].action != "drop"
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

    def suspend(self, task: str, epoch: int) -> None:
        """Train a task no more, whatever its rule says."""
        self._suspended[task] = epoch

    def trains(self, name: str) -> bool:
        """Return whether what a decision is about, a task or a part, goes on."""
        return self._courses[name].stopped_epoch is None

    def stopped(self, task: str) -> dict[str, Any] | None:
        """Return what ``summary.json`` says of a task that has stopped, None of one that has not."""
        if task in self.active:
            return None
        if task in self._suspended:
            return {"epoch": self._suspended[task], "rule": "nonfinite", "action": "freeze"}
        epochs = [self._courses[name].stopped_epoch for name, of in self._subjects.items() if of.task == task]
        last, settings = max(epoch for epoch in epochs if epoch is not None), self._settings[task]
        return {"epoch": last, "rule": settings.rule.name, "action": settings.action}

    def stopped_parts(self, task: str) -> dict[str, int | None] | None:
        """Return in which epoch each part of a task stopped, None while it trains; None if parts have no rule."""
        parts = {of.part: self._courses[name].stopped_epoch for name, of in self._subjects.items() if of.task == task}
        return {part: epoch for part, epoch in parts.items() if part is not None} or None

    def add_losses(self, losses: Mapping[str, tuple[float, float]]) -> None:
        """Add training losses: by task or part the mean over all ranks and how many labels it is of."""
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
        subjects = [subject for subject in self._subjects.values() if subject.task not in self._suspended]
        proposed = [self._judge(each, epoch, scores, each.share * weights[each.task], model) for each in subjects]
        decisions = self._ranks.gather(proposed)[0]
        assert isinstance(decisions, list)
        for decision in decisions:
            self._follow(decision, epoch, scores, model)
        return decisions

    def restored(self, decisions: Sequence[Decision]) -> list[str]:
        """Return the tasks whose heads, or rows of them, were put back by ``decide``: their scores are others now."""
        stopped = [self._subjects[decision.name].task for decision in decisions if decision.stops]
        return [task for task in dict.fromkeys(stopped) if self._settings[task].action == "restore"]

    def rescore(self, decisions: Sequence[Decision], scores: Scores) -> None:
        """Take the losses of heads that were put back, on the trunk as it is now, as those of where they stopped."""
        tasks = self.restored(decisions)
        for decision in decisions:
            subject = self._subjects[decision.name]
            if decision.stops and subject.task in tasks:
                self._courses[decision.name].loss = subject.loss(scores)

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step."""
        courses = {name: {**vars(course), "curves": asdict(course.curves)} for name, course in self._courses.items()}
        return {
            "courses": courses,
            "suspended": self._suspended,
            "losses": {name: [mean.total, mean.count] for name, mean in self._losses.items()},
            "alignments": {name: [mean.total, mean.count] for name, mean in self._alignments.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave; of tasks that had no rule then there is nothing."""
        self._suspended = dict(state["suspended"])
        for name in self._courses.keys() & state["courses"].keys():
            course = state["courses"][name]
            self._courses[name] = Course(**{**course, "curves": Curves(**course["curves"])})
            self._losses[name] = Mean(*state["losses"][name])
            self._alignments[name] = Mean(*state["alignments"][name])

    def _judge(self, subject: Subject, epoch: int, scores: Scores, weight: float, model: MultiTaskModel) -> Decision:
        """Add an evaluation to a course and ask its rule."""
        name, settings, rule = subject.name, self._settings[subject.task], self.rules[subject.task]
        course, trained, aligned = self._courses[name], self._losses[name].take(), self._alignments[name].take()
        if not self.trains(name):
            least = course.loss + (settings.revive or 0.0) * abs(course.loss)
            is_worse = settings.revive is not None and subject.loss(scores) > least
            return Decision(name, revives=is_worse and not self.ended)
        loss = subject.loss(scores)
        if settings.action == "restore" and loss < course.best_loss:
            course.best_loss, course.head = loss, model.head_state(subject.task, subject.row)
        course.add(epoch, trained, loss, subject.metric(scores), weight, aligned)
        measure, stops = course.asked(rule, epoch, settings.min_epochs)
        return Decision(name, measure, rule.threshold, aligned, stops)

    def _follow(self, decision: Decision, epoch: int, scores: Scores, model: MultiTaskModel) -> None:
        course, subject = self._courses[decision.name], self._subjects[decision.name]
        if decision.stops:
            course.stopped_epoch, course.loss = epoch, subject.loss(scores)
            if course.head:
                model.load_head_state(subject.task, course.head, subject.row)
                course.head = {}  # the model has it now
        elif decision.revives:
            self._courses[decision.name] = Course(self._new_curves(subject), began=epoch + 1)

    def _parts_of(self, task: str) -> Sequence[str] | None:
        """Return the parts that have a course each, None where the task stops as a whole."""
        return None if self._settings[task].per is None else self._experiment.tasks[task].parts

    def _new_curves(self, subject: Subject) -> Curves:
        metric = next(iter(self._experiment.tasks[subject.task].metrics().values()), None)
        return Curves("min" if metric is None else metric.direction)
