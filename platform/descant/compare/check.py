"""Every arm is composed and bound to its data before the first run starts: what is wrong shows in seconds."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from descant.compare.arms import PlannedRun, quoted
from descant.parallel import apart
from descant.redaction import redacted_values


@dataclass(frozen=True)
class Basis:
    """What the runs of an arm are made from, besides the words of the command.

    Attributes:
        recipe: composed and spelled out, with seed 0 and without its data.
        plugins: a digest of each plugin's source text.
        data: the data set's fingerprint.
    """

    recipe: Mapping[str, Any]
    plugins: Mapping[str, str]
    data: str

    @property
    def loader_workers(self) -> int | None:
        """How many the recipe asks for, None where it leaves that to the machine."""
        asked = self.recipe["trainer"]["loader_workers"]
        return None if asked is None else int(asked)


def check_arms(runs: Sequence[PlannedRun]) -> dict[str, Basis]:
    """Return each arm's basis.

    Raises:
        UserError: an arm that cannot run, in the sentence with which its runs would have ended.
    """
    arms = {run.arm: run for run in runs if run.seed == 0}
    plugins = {override for run in arms.values() for override in run.overrides if "plugins=" in override}
    # Plugins of two arms may give the same name to two classes, which one process refuses.
    may_differ = len(plugins) > 1 or len({run.recipe for run in arms.values()}) > 1
    first = next(iter(arms))
    return {arm: apart(_basis, run) if may_differ and arm != first else _basis(run) for arm, run in arms.items()}


def _basis(run: PlannedRun) -> Basis:
    """Check an arm as its run will be, by preparing one in a folder that is then taken away."""
    from descant.data.description import Description
    from descant.launch.prepare import prepare

    with tempfile.TemporaryDirectory() as folder:
        launch = prepare(run.recipe, [*run.overrides, "run.name=check", f"run.dir={quoted(folder)}"])
        data = Description.read(launch.folder.path).fingerprint
    plugins = {
        plugin["name"]: hashlib.sha256(plugin["source"].encode()).hexdigest()
        for plugin in launch.request.plugins
        if "source" in plugin
    }
    settings = {key: value for key, value in launch.recipe.plain.items() if key not in ("data", "data_help", "run")}
    return Basis(redacted_values(settings), plugins, data)
