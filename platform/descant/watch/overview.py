"""What runs are doing, from their folders alone: cheap enough to look at hundreds of them every second.

Of ``metrics.jsonl`` only what is new since the last look is read, from its end, until the latest numbers are found.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from descant.report.files import read_object
from descant.run.folder import RunFolder
from descant.run.lock import FILE as LOCK
from descant.watch.latest import LatestNumbers

SILENT_S = 300.0
"""How long a run on another host may write nothing before it is no longer taken to be running."""
_UNENDED = ("running", "dead", "silent")
_DEPTH = 4  # folders below the given one, in which studies keep their runs


@dataclass(frozen=True)
class RunState:
    """One run, as it was last seen.

    Attributes:
        folder: the run folder.
        status: ``running``, ``finished``, ``interrupted`` or ``failed``; ``dead`` when its process has gone without a
            word, and ``silent`` when that is on another host and writes nothing: the same command goes on.
        epoch: the one that it is in, or was in last.
        step, steps: optimizer steps made, and of the whole run.
        main: the main task.
        metric, value: its first metric on the validation split, the latest; the best one of a run that has ended.
        loss: the main task's, in training.
        samples_s: samples a second over all workers.
        wait_share: the share of the first worker's time that was spent waiting for data.
        restarts: how often the run was started again.
        workers: how many train, or trained last.
        changed_s: when it last wrote, in seconds since 1970.
    """

    folder: Path
    status: str
    epoch: int | None = None
    step: int | None = None
    steps: int | None = None
    main: str | None = None
    metric: str | None = None
    value: float | None = None
    loss: float | None = None
    samples_s: float | None = None
    wait_share: float | None = None
    restarts: int = 0
    workers: int | None = None
    changed_s: float = 0.0


class Overview:
    """Looks at all runs under a folder again and again.

    Args:
        folder: such as ``runs``; run folders may lie deeper, as those of studies do, or be the folder itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._watches: dict[Path, RunWatch] = {}

    def look(self) -> list[RunState]:
        """Return the runs, those that run first and then by their latest change."""
        found = set(run_folders(self._folder))
        self._watches = {path: self._watches.get(path) or RunWatch(path) for path in found}
        states = [state for watch in self._watches.values() if (state := watch.look()) is not None]
        return sorted(states, key=lambda state: (state.status != "running", -state.changed_s, state.folder))


def run_folders(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Yield the run folders at and under a folder; one within another is not looked for."""
    if (folder / "recipe.yaml").is_file():
        yield folder
        return
    try:
        with os.scandir(folder) as entries:
            inner = [Path(entry) for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except (FileNotFoundError, PermissionError):
        return  # it has gone meanwhile, or is none of ours
    for one in inner if depth else ():
        yield from run_folders(one, depth - 1)


class RunWatch:
    """Follows one run.

    Args:
        folder: its folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = RunFolder(folder)
        self._state = RunState(folder, "running")
        self._stamps: tuple[float, ...] = ()
        self._latest: LatestNumbers | None = None

    def look(self) -> RunState | None:
        """Return how the run stands; None if its folder has gone."""
        path = self._folder.path
        stamps = tuple(map(_changed_s, (self._folder.metrics, path / "summary.json", path / "environment.json")))
        try:
            if stamps != self._stamps:
                self._state = self._read(max(*stamps, _changed_s(self._folder.recipe)))
                self._stamps = stamps
            if self._state.status in _UNENDED:
                self._state = replace(self._state, status=self._alive())
        except FileNotFoundError:
            return None
        return self._state

    def _read(self, changed_s: float) -> RunState:
        if self._latest is None:
            self._latest = LatestNumbers(self._folder.metrics, _main(self._folder.recipe))
        starts = read_object(self._folder.path / "environment.json").get("starts") or [{}]
        found = {**self._latest.look(), "main": self._latest.main, "changed_s": changed_s}
        found |= {"restarts": len(starts) - 1, "workers": starts[-1].get("workers")}
        if (summary := self._folder.summary()) is None:
            return RunState(self._folder.path, "running", **found)
        best = summary.get("main") or {}
        if best.get("value") is not None:
            found |= {"metric": best["metric"], "value": best["value"]}
        return RunState(self._folder.path, summary["status"], **found)

    def _alive(self) -> str:
        """Return how a run without a summary stands."""
        lock = self._folder.path / LOCK
        words = lock.read_text(errors="replace").split() if lock.exists() else []
        if len(words) == 4 and words[3] == socket.gethostname():
            return "running" if _is_process(int(words[1])) else "dead"
        return "running" if time.time() - self._state.changed_s < SILENT_S else "silent"


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _main(recipe: Path) -> str | None:
    """Return the main task that a resolved recipe names."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    tasks = (yaml.load(recipe.read_text(encoding="utf-8"), loader) or {}).get("tasks") or {}
    return next((name for name, task in tasks.items() if (task or {}).get("role") == "main"), None)


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
