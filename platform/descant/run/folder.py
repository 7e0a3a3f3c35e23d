"""The run folder: its files, and how a run claims it.

``recipe.yaml``, ``environment.json``, ``metrics.jsonl``, ``summary.json``, ``details.json``, ``quarantine.jsonl``,
``report.html``, ``tensorboard/``, ``checkpoints/``, ``plugins/``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.errors import UserError
from descant.files import write_bytes, write_text
from descant.plugins import Plugin
from descant.recipe.interpolation import resolved
from descant.recipe.recipe import differences
from descant.redaction import redacted_values
from descant.run.failure import clear_failure
from descant.run.lock import RunLock

DETAILS = "details.json"
_FIXED = ("seed:", "trainer.batch_size:", "optimizer.name:")
"""Changes under which no run can go on from a checkpoint."""


@dataclass(frozen=True)
class RunFolder:
    """The paths and the small files of one run."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe; it runs again as it is."""
        return self.path / "recipe.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON row for each number."""
        return self.path / "metrics.jsonl"

    @property
    def quarantine(self) -> Path:
        """One JSON row for each sample that could not be used."""
        return self.path / "quarantine.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The checkpoints' folder."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "tensorboard"

    def read_recipe(self) -> dict[str, Any]:
        """Return the run's recipe as plain dicts, as it is written: with its ``${oc.env:…}``.

        Raises:
            UserError: the folder holds no run.
        """
        from omegaconf import OmegaConf

        if not self.recipe.exists():
            raise UserError(f"there is no run at {str(self.path)!r}: give the folder of a run, such as runs/demo")
        plain = OmegaConf.to_container(OmegaConf.load(self.recipe))
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}

    def resolved_recipe(self) -> dict[str, Any]:
        """Return the run's recipe as plain dicts, its ``${oc.env:…}`` resolved.

        Raises:
            UserError: the folder holds no run, or a variable is not set.
        """
        return resolved(str(self.recipe), self.read_recipe())

    def write_recipe(self, plain: dict[str, Any], plugins: Sequence[Plugin] = ()) -> None:
        """Write the resolved recipe, and its plugins' sources beside it, so that it needs no other file."""
        from omegaconf import OmegaConf

        for plugin in plugins:
            if "source" in plugin:
                (self.path / "plugins").mkdir(exist_ok=True)
                write_bytes(self.path / plugin_copy(plugin), plugin["source"].encode("utf-8"))
        write_text(self.recipe, OmegaConf.to_yaml(OmegaConf.create(redacted_values(plain))))

    def summary(self) -> dict[str, Any] | None:
        """Return ``summary.json``, or None before a run's first end."""
        path = self.path / "summary.json"
        if not path.exists():
            return None
        summary: dict[str, Any] = json.loads(path.read_text())
        return summary

    def stopped(self) -> list[str]:
        """Return the tasks, and the parts of tasks (``attributes.smile``), that had stopped when the run ended last."""
        stopped: list[str] = []
        for name, task in ((self.summary() or {}).get("tasks") or {}).items():
            parts = (task.get("stopped_parts") or {}).items()
            stopped += [name] if task.get("stopped") else []
            stopped += [f"{name}.{part}" for part, epoch in parts if epoch is not None]
        return stopped

    def write_json(self, name: str, value: object) -> None:
        """Write one of the folder's JSON files."""
        write_text(self.path / name, json.dumps(value, indent=2) + "\n")

    def claim(
        self, plain: dict[str, Any], plugins: Sequence[Plugin] = (), *, resume: bool = False
    ) -> tuple[bool, RunLock]:
        """Take the folder for a run of a resolved recipe.

        Returns:
            whether it goes on with an earlier run, and the lock, which its holder releases at the end.

        Raises:
            UserError: it holds a run of another recipe and ``resume`` is not set, or another process trains in it.
        """
        resumes = self.recipe.exists()
        if resumes and not resume:
            changed = [*differences(self.read_recipe(), redacted_values(plain)), *self._changed_plugins(plugins)]
            if changed:
                more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
                fixed = self.checkpoints.exists() and any(change.startswith(_FIXED) for change in changed)
                go_on = "" if fixed else ", or resume=true to go on with it under this recipe"
                raise UserError(
                    f"the run {str(self.path)!r} exists with another recipe ({'; '.join(changed[:3])}{more}): "
                    f"give a new run.name{go_on}"
                )
        self.path.mkdir(parents=True, exist_ok=True)
        lock = RunLock(self.path)
        clear_failure(self.path)
        return resumes, lock

    def _changed_plugins(self, plugins: Sequence[Plugin]) -> list[str]:
        copies = [(plugin_copy(plugin), plugin["source"]) for plugin in plugins if "source" in plugin]
        return [
            f"{copy} has changed"
            for copy, source in copies
            if (self.path / copy).exists() and (self.path / copy).read_text() != source
        ]


def plugin_copy(plugin: Plugin) -> str:
    """Return what a run's recipe names a plugin: its copy in the run folder, or the installed module."""
    return f"plugins/{plugin['name']}.py" if "source" in plugin else plugin["name"]
