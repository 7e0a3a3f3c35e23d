"""One trial: a run like any other, that is told after each evaluation whether to go on, and with what."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from descant.errors import UserError
from descant.launch.prepare import Runner as AnyRunner
from descant.launch.prepare import launch
from descant.plugins import load_plugins
from descant.recipe.interpolation import resolved
from descant.redaction import hidden_variables, hide
from descant.report.files import read_object
from descant.run.lock import RunLock
from descant.run.log import Row
from descant.run.request import RunRequest
from descant.tune.exchange import HANDOFF, adopt, note_start, record
from descant.tune.objective import Evaluation, evaluations
from descant.tune.search import Params

TOLD = ".told"
"""In the folder of a trial: it is not to go on."""
STOP = ".stop"
"""In the study's folder: nothing is to go on for now."""
LOOK_S = 0.3  # how long an answer holds
PATIENCE_S = 60.0

Runner = Callable[[RunRequest, "Watch"], None]


@dataclass(frozen=True)
class Job:
    """What a process needs to know that trains a trial, as plain JSON.

    Attributes:
        number: of the trial.
        params: the values that it begins with.
        recipe: composed with them; its ``run`` names the run folder.
        folder: that folder.
        plugins, hidden: as in a RunRequest.
    """

    number: int
    params: Params
    recipe: dict[str, Any]
    folder: str
    plugins: list[dict[str, str]] = field(default_factory=list)
    hidden: dict[str, str] = field(default_factory=hidden_variables)

    def to_json(self) -> str:
        """Return the job as one JSON object."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return the job that ``to_json`` wrote."""
        return cls(**json.loads(text))


class Watch:
    """Sees a trial's rows as they come, reports its evaluations, and knows what the study wishes.

    Args:
        folder: the trial's run folder, in the study's ``trials``.
        report: takes an evaluation whose checkpoint is saved, and returns when the study has decided.
    """

    def __init__(self, folder: Path, report: Callable[[Evaluation], None]) -> None:
        self._folder, self._study, self._report = folder, folder.parent.parent, report
        self._rows: list[Row] = []
        self._looked_s, self._found = -LOOK_S, False

    def add(self, row: Row) -> None:
        """Take note of a row."""
        if row["split"] == "validation":
            self._rows.append(row)

    def report(self) -> None:
        """Report evaluations that are saved, and so whole: the training loop writes a checkpoint after each."""
        if not self._rows:
            return
        saved = int(read_object(self._folder / "checkpoints" / "index.json").get("last", "step--1")[len("step-") :])
        for evaluation in evaluations(self._rows):
            if evaluation.step <= saved:
                self._rows = [row for row in self._rows if row["step"] != evaluation.step]
                self._report(evaluation)
                self._looked_s = -LOOK_S

    def should_stop(self) -> bool:
        """Report what there is, and return whether the trial is to stop, for now or for good."""
        self.report()
        now_s = time.monotonic()
        if not self._found and now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            places = (self._study / STOP, self._folder / TOLD, self._folder / HANDOFF / "handoff.json")
            self._found = any(place.exists() for place in places)
        return self._found


def _watched(runner: Runner, watch: Watch) -> AnyRunner:
    return lambda request, *_: runner(request, watch)


def train_here(request: RunRequest, watch: Watch) -> None:
    """Train in this process, as its only rank."""
    from descant.loop.ranks import Ranks
    from descant.loop.worker import work

    work(request, Ranks(), watch.should_stop, watch.add)


def _wait_for(folder: Path) -> None:
    """Wait until a process that trained here before, and was killed, is gone."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            return RunLock(folder).release()
        except UserError:
            time.sleep(0.1)


def run_trial(job: Job, runner: Runner, report: Callable[[Evaluation], None]) -> str:
    """Train a trial to its end, or until it is told to stop; go on with what another one hands over.

    Returns:
        ``finished`` or ``interrupted``.

    Raises:
        UserError: its recipe cannot work. RunError: the run failed.
    """
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    _wait_for(folder)
    for value, placeholder in job.hidden.items():
        hide(value, placeholder)
    load_plugins(job.plugins)
    note_start(folder, job.number, job.params)
    while True:
        adopt(folder)
        handed = record(folder)["recipe"]
        recipe = resolved(str(folder), handed) if handed else job.recipe
        resumes = (folder / "recipe.yaml").exists()
        watch = Watch(folder, report)
        made = launch({**recipe, "resume": resumes}, job.plugins, tests=False)
        run = dataclasses.replace(made, runner=_watched(runner, watch)).run(watch.add)
        watch.report()
        if not (folder / HANDOFF / "handoff.json").exists():
            return run.status
