"""The study folder of a comparison: study.json says what each run in it is, so that the same command goes on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from descant.compare.arms import PlannedRun
from descant.compare.check import Basis
from descant.errors import UserError
from descant.files import write_text
from descant.recipe.recipe import differences
from descant.report.files import read_object, shown

STUDY = "study.json"
Plan = dict[str, dict[int, Path]]  # arm -> seed -> run folder


@dataclass(frozen=True)
class Study:
    """``folder`` holds one run folder per planned run.

    ``runs`` is this command's plan, baseline arm first; ``bases`` what each of its arms is made from.
    """

    folder: Path
    runs: tuple[PlannedRun, ...]
    bases: Mapping[str, Basis] = field(default_factory=dict)

    @property
    def arms(self) -> Plan:
        """Run folders by arm and seed."""
        return _plan(self.folder, {run.name: _described(run) for run in self.runs})

    def open(self) -> list[PlannedRun]:
        """Write the plan into the folder and return the runs that are not finished yet.

        Raises:
            UserError: the folder already holds a run of the same name made by another recipe or other overrides, or
                runs of an arm whose recipe, plugins or data have changed since.
        """
        written = read_object(self.folder / STUDY)
        known, bases = written.get("runs", {}), written.get("arms", {})
        described = {run.name: _described(run) for run in self.runs}
        for name, description in described.items():
            if name in known and (change := _other_command(known[name], description)):
                raise UserError(
                    f"{shown(self.folder)!r} holds {name!r} of another comparison ({change}): "
                    "give another --name, or remove that folder"
                )
        for arm, basis in self.bases.items():
            if arm in bases and (change := _other_basis(bases[arm], basis)):
                raise UserError(
                    f"the runs of {arm!r} in {shown(self.folder)!r} were made before {change}: "
                    "put it back as it was, or give another --name"
                )
        made_from = {arm: dataclasses.asdict(basis) for arm, basis in self.bases.items()}
        plan = {"format": 1, "runs": {**known, **described}, "arms": {**bases, **made_from}}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / STUDY, json.dumps(plan, indent=1))
        return [run for run in self.runs if not (run.name in known and finished(self.folder / run.name))]


def finished(run: Path) -> bool:
    """Say whether a run folder's summary calls it finished."""
    return bool(read_object(run / "summary.json").get("status") == "finished")


def planned(folder: Path) -> Plan:
    """Return the run folders of a study that is there, by arm and seed."""
    return _plan(folder, read_object(folder / STUDY).get("runs", {}))


def expanded(folders: Sequence[Path]) -> list[Path]:
    """Replace each study folder by its run folders, in the order of its plan."""
    runs: list[Path] = []
    for folder in folders:
        names = read_object(folder / STUDY).get("runs", {})
        runs += [folder / name for name in names] if names else [folder]
    return runs


def _described(run: PlannedRun) -> dict[str, Any]:
    return {"arm": run.arm, "seed": run.seed, "recipe": run.recipe, "overrides": list(run.overrides)}


def _plan(folder: Path, described: Mapping[str, Mapping[str, Any]]) -> Plan:
    arms: Plan = {}
    for name, run in described.items():
        arms.setdefault(run["arm"], {})[run["seed"]] = folder / name
    return arms


def _other_command(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Say in which words the command was another, empty where it was the same."""
    if old.get("recipe") != new["recipe"]:
        return f"recipe {old.get('recipe')!r} instead of {new['recipe']!r}"
    if old.get("overrides") != new["overrides"]:
        return f"overrides {' '.join(old.get('overrides', []))!r} instead of {' '.join(new['overrides'])!r}"
    return ""


def _other_basis(old: Mapping[str, Any], new: Basis) -> str:
    """Say what the same words mean now that they did not mean then, empty where all is the same."""
    changed = differences(old["recipe"], new.recipe)
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        return f"the recipe changed ({'; '.join(changed[:3])}{more})"
    plugins = [name for name in new.plugins if new.plugins[name] != old["plugins"].get(name)]
    if plugins:
        return f"the plugin {plugins[0]!r} changed"
    return f"the data set changed (fingerprint {old['data']} → {new.data})" if old["data"] != new.data else ""
