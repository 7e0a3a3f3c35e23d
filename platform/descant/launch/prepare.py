"""From a composed recipe to a finished run: check everything, claim the folder, hand over to a runner."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from descant.callbacks import Callback, Notices, build_callbacks
from descant.errors import Interrupted, RunError, UserError, nearest
from descant.files import is_full
from descant.plugins import Plugin, load_plugins, read_plugins
from descant.recipe import DataSettings, Recipe, compose, parse_recipe, plugin_names
from descant.run.folder import RunFolder, plugin_copy
from descant.run.lock import RunLock
from descant.run.log import Row
from descant.run.request import RunRequest
from descant.schedules import Schedule

logger = logging.getLogger("descant")
Lost = Mapping[str, Any]
"""Workers that were lost: ``ranks`` and ``causes``."""
Runner = Callable[[RunRequest, Callable[[Row], None], Callable[[Lost], None]], None]


@dataclass(frozen=True)
class Run:
    """A run folder and what came of it.

    Attributes:
        folder: ``runs/<name>``.
        status: ``finished`` or ``interrupted``.
        summary: ``summary.json``.
    """

    folder: Path
    status: str
    summary: dict[str, Any]


@dataclass(frozen=True)
class Launch:
    """A checked recipe, ready to run."""

    recipe: Recipe
    request: RunRequest
    runner: Runner
    folder: RunFolder
    resumes: bool
    lock: RunLock
    callbacks: Mapping[str, Callback] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether an earlier run of the same recipe is finished already."""
        summary = self.folder.summary()
        return self.resumes and summary is not None and summary["status"] == "finished" and not self.recipe.resume

    def run(self, on_row: Callable[[Row], None]) -> Run:
        """Run to the end.

        Raises:
            RunError: the run failed; its sentence is in ``summary.json`` too.
        """
        try:
            if not self.is_finished:
                self._run_and_tell(on_row)
        finally:
            self.lock.release()
        summary = self.folder.summary()
        if summary is None:
            raise RunError(f"the run {str(self.folder.path)!r} ended without a summary: run the same command again")
        if summary["status"] == "failed":
            raise RunError(summary["error"])
        return Run(self.folder.path, summary["status"], summary)

    def _run_and_tell(self, on_row: Callable[[Row], None]) -> None:
        """Run, and tell the callbacks what happens."""
        stopped = self.folder.stopped()
        (self.folder.path / "summary.json").unlink(missing_ok=True)
        with Notices(self.callbacks, self.folder.path, stopped) as notices:
            notices.tell("started", resumes=self.resumes)

            def pass_on(row: Row) -> None:
                notices.row(row)
                on_row(row)

            try:
                self._run(pass_on, lambda lost: notices.tell("worker_lost", **lost))
            finally:
                summary = self.folder.summary() or {"status": "failed"}
                main, error = summary.get("main") or {}, summary.get("error")
                notices.tell(summary["status"], **main, **({"error": error} if error else {}))

    def _run(self, on_row: Callable[[Row], None], on_lost: Callable[[Lost], None]) -> None:
        """Call the runner; what no worker could write down ends in ``summary.json`` all the same."""
        try:
            self.runner(self.request, on_row, on_lost)
        except Interrupted:
            self._note_end({"status": "interrupted"})
            raise
        except KeyboardInterrupt as error:
            self._note_end({"status": "interrupted"})
            raise Interrupted(
                "interrupted; what was saved before is kept, and the same command goes on from there"
            ) from error
        except Exception as error:
            said = str(error) if isinstance(error, (UserError, RunError)) else f"{type(error).__name__}: {error}"
            self._note_end({"status": "failed", "error": said})
            raise

    def _note_end(self, end: dict[str, Any]) -> None:
        if self.folder.summary() is None:
            main = {"task": self.recipe.main, "metric": None, "value": None, "epoch": None}
            self.folder.write_json("summary.json", {**end, "main": main, "tasks": {}})


def prepare(recipe: str, overrides: Sequence[str] = ()) -> Launch:
    """Compose, check and claim; everything that can be wrong with what the user gave is said here.

    Raises:
        UserError: in one sentence.
    """
    return launch(*composed(recipe, overrides))


def composed(
    recipe: str, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[Plugin]]:
    """Return a recipe as plain dicts, its data found from anywhere, and its plugins, which are loaded.

    Raises:
        UserError: as ``prepare``.
    """
    plain = compose(recipe, overrides, values)
    beside = [Path.cwd()]
    if Path(recipe).suffix in (".yaml", ".yml"):
        beside.append(Path(recipe).resolve().parent)
    plain["data"] = DataSettings.parse(plain.get("data")).map_places(absolute_place).plain
    plugins = read_plugins(plugin_names(plain), beside)
    load_plugins(plugins)
    return plain, plugins


def launch(plain: Mapping[str, Any], plugins: Sequence[Plugin], *, tests: bool = True) -> Launch:
    """Check a composed recipe and claim its run folder; without ``tests`` the test split is left alone.

    Raises:
        UserError: as ``prepare``.
    """
    parsed = parse_recipe(plain)
    runner, told = _runner(parsed.run.runner), build_callbacks(parsed.callbacks)
    from descant.loop.checks import check, check_continues
    from descant.loop.experiment import Experiment

    experiment = Experiment.build(parsed, tests=tests)
    check(experiment)
    folder = RunFolder((Path(parsed.run.dir) / parsed.run_name).absolute())
    saved = _spelled_out(parsed, experiment.schedules) | {"plugins": [plugin_copy(plugin) for plugin in plugins]}
    with _storage(folder.path):
        resumes, lock = folder.claim(saved, plugins, resume=parsed.resume)
        if resumes and parsed.resume:
            check_continues(experiment, folder)
        if not resumes or parsed.resume:
            folder.write_recipe(saved, plugins)
            experiment.description.write(folder.path)
    request = RunRequest(saved, str(folder.path), [*plugins], tests=tests)
    return Launch(dataclasses.replace(parsed, plain=saved), request, runner, folder, resumes, lock, told)


@contextmanager
def _storage(path: Path) -> Iterator[None]:
    """Say in a sentence that a run folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the run folder {str(path)!r} cannot be written ({error.strerror}): set run.dir to a folder with "
            f"{'room' if is_full(error) else 'permission to write'}"
        ) from error


def _spelled_out(recipe: Recipe, weights: Mapping[str, Schedule]) -> dict[str, Any]:
    """Return the recipe with what its tasks' kinds decide, and the run's name, so that it stays the same run."""
    tasks = {}
    for name, task in recipe.plain["tasks"].items():
        kept = {key: value for key, value in task.items() if key != "weight" or value is not None}
        tasks[name] = {"role": recipe.tasks[name].role, "weight": weights[name].at(0, 1), **kept}
    return {**recipe.plain, "tasks": tasks, "run": {**recipe.plain["run"], "name": recipe.run_name}}


def _runner(name: str) -> Runner:
    if name == "inline":
        from descant.launch.inline import run_inline

        return run_inline
    found = {entry.name: entry for entry in entry_points(group="descant.runners")}
    if name not in found:
        raise UserError(f"there is no runner {name!r}: {nearest(name, [*found, 'inline'])}")
    runner: Runner = found[name].load()
    return runner


def absolute_place(place: str) -> str:
    """Return a local folder as workers in other working directories find it; URLs stay as they are."""
    is_url = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", place) and not os.path.exists(place)
    return place if is_url else os.path.abspath(place)
