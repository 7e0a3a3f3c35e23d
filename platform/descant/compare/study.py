"""The study folder of a comparison: study.json says what each run in it is, so that the same command goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.compare.arms import PlannedRun
from descant.errors import UserError
from descant.report.files import read_object, write_atomic

STUDY = "study.json"


@dataclass(frozen=True)
class Study:
    """``folder`` holds one run folder per planned run; ``runs`` is this command's plan, baseline arm first."""

    folder: Path
    recipe: str
    runs: tuple[PlannedRun, ...]

    @property
    def arms(self) -> dict[str, dict[int, Path]]:
        """Run folders by arm and seed."""
        arms: dict[str, dict[int, Path]] = {}
        for run in self.runs:
            arms.setdefault(run.arm, {})[run.seed] = self.folder / run.name
        return arms

    def open(self) -> list[PlannedRun]:
        """Write the plan into the folder and return the runs that are not finished yet.

        Raises:
            UserError: the folder already holds a run of the same name made by another recipe or other overrides.
        """
        written = read_object(self.folder / STUDY)
        known: dict[str, Any] = written.get("runs", {})
        described = {run.name: self._described(run) for run in self.runs}
        for name, description in described.items():
            if name in known and known[name] != description:
                raise UserError(
                    f"{str(self.folder)!r} holds {name!r} of another comparison ({_change(known[name], description)}): "
                    "give another --name, or remove that folder."
                )
        write_atomic(self.folder / STUDY, json.dumps({"format": 1, "runs": {**known, **described}}, indent=1))
        return [run for run in self.runs if not (run.name in known and finished(self.folder / run.name))]

    def _described(self, run: PlannedRun) -> dict[str, Any]:
        path = Path(self.recipe)
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        return {
            "arm": run.arm,
            "seed": run.seed,
            "recipe": self.recipe,
            "recipe_sha256": digest,
            "overrides": list(run.overrides),
        }


def finished(run: Path) -> bool:
    """Say whether a run folder's summary calls it finished."""
    return bool(read_object(run / "summary.json").get("status") == "finished")


def expanded(folders: Sequence[Path]) -> list[Path]:
    """Replace each study folder by its run folders, in the order of its plan."""
    runs: list[Path] = []
    for folder in folders:
        names = read_object(folder / STUDY).get("runs", {})
        runs += [folder / name for name in names] if names else [folder]
    return runs


def _change(old: dict[str, Any], new: dict[str, Any]) -> str:
    if old.get("recipe") != new["recipe"]:
        return f"recipe {old.get('recipe')!r} instead of {new['recipe']!r}"
    if old.get("recipe_sha256") != new["recipe_sha256"]:
        return "the recipe's file has changed since"
    return f"overrides {' '.join(old.get('overrides', []))!r} instead of {' '.join(new['overrides'])!r}"
