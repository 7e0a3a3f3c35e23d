"""A study: its folder, its trials, and what is decided about them. ``study.json`` is written at each change.

``runs/<name>/`` holds ``study.json``, ``trials.csv``, ``best.yaml``, ``report.html``, figures, and in ``trials/`` a run
folder of each trial. What a trial came to is read from its run folder; nothing of it is kept in a second place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from descant.errors import UserError
from descant.files import write_text
from descant.report.files import read_object, shown
from descant.run.folder import RunFolder
from descant.run.lock import RunLock
from descant.run.log import read_rows
from descant.tune.exchange import HANDOFF, record
from descant.tune.objective import Evaluation, best, evaluations
from descant.tune.plan import Plan, changed
from descant.tune.search import Params, Search
from descant.tune.trial import STOP, TOLD, Job

STUDY = "study.json"
RESULTS = ("best", "front", "importance", "results")
"""Its keys of what the trials came to, when that was last written down."""
Status = Literal["waiting", "running", "stopped", "finished", "failed"]


@dataclass
class Trial:
    """One trial as the study knows it.

    Attributes:
        params: what it began with.
        status: ``stopped`` by the scheduler, ``failed`` after all its tries.
        attempts: how often it was started.
        errors: why tries failed.
        given_up_after: how many retries it had been allowed when it was given up.
    """

    number: int
    params: Params
    status: Status = "waiting"
    attempts: int = 0
    errors: list[str] = field(default_factory=list)
    given_up_after: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.status in ("stopped", "finished", "failed")


class Study:
    """A study that is being made.

    Args:
        plan: what it does.
        learned: trials of an earlier study, each ``{"params", "values"}``.

    Raises:
        UserError: its folder holds another study, or another process is at it.
    """

    def __init__(self, plan: Plan, learned: Sequence[Mapping[str, Any]] = ()) -> None:
        self.plan, self.folder = plan, plan.folder
        written = read_object(self.folder / STUDY)
        self._check_same(written, learned)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = RunLock(self.folder)
        (self.folder / STOP).unlink(missing_ok=True)
        self._results = {key: written[key] for key in RESULTS if key in written}
        self.learned: list[Mapping[str, Any]] = list(written.get("learned", learned))
        self.trials = [Trial(**each) for each in written.get("trials", [])]
        for trial in self.trials:
            self._look_again(trial)
        self.search: Search = plan.search()
        self.trainer: dict[str, Any] = {}
        """Keys of the recipe's trainer that hang on how many trials train side by side; nothing that is learnt."""
        self._tell_all()
        self.write("running")

    @property
    def ended(self) -> list[Trial]:
        """The trials of which nothing more comes."""
        return [trial for trial in self.trials if trial.has_ended]

    def path(self, number: int) -> Path:
        """Return a trial's run folder."""
        return self.folder / "trials" / f"{number:04d}"

    def next(self) -> Job | None:
        """Return a trial to begin or to go on with, None where there is none left."""
        waiting = next((trial for trial in self.trials if trial.status == "waiting"), None)
        if waiting is None:
            if not self._may_begin():
                return None
            number = len(self.trials)
            waiting = Trial(number, self.search.propose(number))
            self.trials.append(waiting)
        waiting.status = "running"
        waiting.attempts += 1
        self.write("running")
        recipe = self.recipe_of(waiting.number, waiting.params)
        return Job(waiting.number, waiting.params, recipe, str(self.path(waiting.number)), self.plan.plugins)

    def recipe_of(self, number: int, params: Params) -> dict[str, Any]:
        """Return the recipe of a trial with these values."""
        recipe = self.plan.recipe_of(number, params)
        return {**recipe, "trainer": {**(recipe.get("trainer") or {}), **self.trainer}}

    def open_trials(self) -> int:
        """Return how many trials are still to be trained, at most."""
        begun = sum(not trial.has_ended for trial in self.trials)
        return begun + (max(self.plan.trials - len(self.trials), 0) if self._may_begin() else 0)

    def failed_once(self, number: int, error: str) -> None:
        """Note a failure after which the trial is tried again."""
        trial = self.trials[number]
        trial.errors.append(error)
        trial.attempts += 1
        self.write("running")

    def end(self, number: int, status: Status, error: str | None = None) -> Trial:
        """Note how a trial ended; ``waiting`` goes on with the next start of the study."""
        trial = self.trials[number]
        trial.status = status
        trial.errors += [error] if error is not None else []
        trial.given_up_after = self.plan.settings.retries
        if trial.has_ended:
            self._tell(trial)
        self.write("running")
        return trial

    def is_stopping(self) -> bool:
        """Return whether the user has asked the study to stop."""
        return (self.folder / STOP).exists()

    def stop(self) -> None:
        """Ask all trials to write a checkpoint and end."""
        (self.folder / STOP).touch()

    def stop_trial(self, number: int) -> None:
        """Tell a trial that it is not to go on; the study remembers it through whatever is killed."""
        (self.path(number) / TOLD).touch()

    def is_told(self, number: int) -> bool:
        """Return whether the scheduler has stopped a trial."""
        return (self.path(number) / TOLD).exists()

    def evaluations(self, number: int) -> list[Evaluation]:
        """Return a trial's evaluations so far."""
        return evaluations(read_rows(self.path(number) / "metrics.jsonl"))

    def values(self, number: int) -> list[float] | None:
        """Return a trial's value of each objective at its best epoch, whose checkpoint there is; None without any."""
        chosen = best(self.evaluations(number), self.plan.kept_by)
        return None if chosen is None else [chosen.of(each) for each in self.plan.objectives]

    def params_now(self, number: int) -> Params:
        """Return the values that a trial goes on with."""
        waiting = read_object(self.path(number) / HANDOFF / "handoff.json")
        if waiting:
            return dict(waiting["change"]["params"])
        changes = record(self.path(number)).get("changes")
        return dict(changes[-1]["params"]) if changes else self.trials[number].params

    def write(self, status: str, more: Mapping[str, Any] | None = None) -> None:
        """Write ``study.json``."""
        plan, self._results = self.plan, dict(more or self._results)
        about = {
            "format": 1,
            "status": status,
            "recipe": plan.recipe,
            "overrides": list(plan.overrides),
            "settings": {"trials": plan.trials, "retries": plan.settings.retries},
            "basis": plan.basis(),
            "learned": self.learned,
            "trials": [asdict(trial) for trial in self.trials],
        }
        write_text(self.folder / STUDY, json.dumps({**about, **self._results}, indent=1) + "\n")

    def _may_begin(self) -> bool:
        """Return whether there may be one trial more."""
        if len(self.trials) >= self.plan.trials:
            return False
        budget = self.plan.settings.budget_epochs
        if budget is None or self.plan.settings.scheduler.is_population:
            return True
        return sum(map(self._epochs, self.trials)) < budget

    def _epochs(self, trial: Trial) -> int:
        """Return the epochs that a trial costs: those that it trained, or while it trains all that it may."""
        if not trial.has_ended:
            return self.plan.epochs
        return max((each.epochs for each in self.evaluations(trial.number)), default=0)

    def _check_same(self, written: Mapping[str, Any], learned: Sequence[Mapping[str, Any]]) -> None:
        if not written and (self.folder / "recipe.yaml").exists():
            raise UserError(f"{shown(self.folder)!r} is the folder of a run: give a new run.name")
        if not written:
            return
        words = changed(written["basis"], self.plan.basis())
        if not words and learned and list(learned) != written["learned"]:
            words = "it was begun without what --from names"
        if words:
            raise UserError(
                f"the study {shown(self.folder)!r} exists and was made otherwise ({words}): give a new run.name, or "
                f"take the change back"
            )

    def _look_again(self, trial: Trial) -> None:
        """Find out what became of a trial while nobody looked."""
        folder = self.path(trial.number)
        if trial.status == "failed" and trial.given_up_after < self.plan.settings.retries:
            trial.status = "waiting"
        if trial.has_ended:
            return
        summary = RunFolder(folder).summary() or {}
        goes_on = summary.get("status") != "finished" or (folder / HANDOFF / "handoff.json").exists()
        trial.status = "stopped" if self.is_told(trial.number) else "waiting" if goes_on else "finished"

    def _tell_all(self) -> None:
        for number, each in enumerate(self.learned):
            self.search.tell(-1 - number, dict(each["params"]), each["values"])
        for trial in self.ended:
            self._tell(trial)

    def _tell(self, trial: Trial) -> None:
        values = None if trial.status == "failed" else self.values(trial.number)
        self.search.tell(trial.number, self.params_now(trial.number), values)
