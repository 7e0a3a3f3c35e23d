"""What ``descant submit`` hands in: the recipe as one file with its plugins beside it, and where it is to run."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.errors import UserError
from descant.launch.prepare import absolute_place
from descant.plugins import Plugin, load_plugins, read_plugins
from descant.recipe import DataSettings, parse_recipe, plugin_names
from descant.recipe.compose import merge
from descant.recipe.interpolation import resolved
from descant.run.folder import plugin_copy
from descant_cluster.job import CLIENT, JOB, versions
from descant_cluster.package import project_files, zipped
from descant_cluster.rest import Dashboard
from descant_cluster.session import ENVIRONMENT
from descant_cluster.state import state_folder, state_path, write_private

RECIPE = "recipe.yaml"
STOP_S = 120
"""How long a job that is to end may take for its checkpoint; Ray's own 3 s are too short."""
_JOBS = "jobs"
_ON_CLUSTER = "${oc."  # what only the cluster's environment may know


@dataclass(frozen=True)
class Job:
    """A recipe on its way to a cluster, and again when it is to go on.

    Attributes:
        run: the name of the run.
        folder: the run's folder on the cluster.
        files: what the job finds in its working folder, by name.
    """

    run: str
    folder: str
    files: Mapping[str, str]

    def submit(self, dashboard: Dashboard) -> str:
        """Hand the job in and return its name."""
        name = f"{re.sub(r'[^A-Za-z0-9_.-]', '-', self.run)}-{secrets.token_hex(3)}"
        project = dashboard.upload(*zipped(project_files()))
        own = dashboard.upload(*zipped({path: text.encode() for path, text in self.files.items()}))
        variables = {**ENVIRONMENT, "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S), JOB: name, CLIENT: json.dumps(versions())}
        dashboard.submit(
            {
                "submission_id": name,
                "entrypoint": _entrypoint(),
                "runtime_env": {"working_dir": own, "py_modules": [project], "env_vars": variables},
                "metadata": {"run": self.run, "folder": self.folder},
            }
        )
        self._remember(name, dashboard.address)
        return name

    def _remember(self, name: str, address: str) -> None:
        known = {"address": address, "run": self.run, "folder": self.folder, "files": dict(self.files)}
        (state_folder() / _JOBS).mkdir(mode=0o700, exist_ok=True)
        write_private(_record(name), json.dumps(known, indent=1))


def remembered(name: str) -> tuple[Job, str] | None:
    """Return a job that was handed in from here, and the cluster's address; None where it was not."""
    try:
        known = json.loads(_record(name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Job(known["run"], known["folder"], known["files"]), known["address"]


def job_of(recipe: str, overrides: Sequence[str]) -> Job:
    """Return the job of a recipe and what overrides it; what can be wrong with them is said as far as it shows here.

    Values of ``${oc.env:…}`` are the cluster's: none of this machine's environment is in the job.

    Raises:
        UserError: in one sentence.
    """
    plain = merge(recipe, overrides)
    plain.pop("trust", None)
    if "run.address" in {override.partition("=")[0] for override in overrides}:
        raise UserError("run.address is what --address says of a job: leave it out")
    beside = [Path.cwd(), *([Path(recipe).resolve().parent] if recipe.endswith(".yaml") else [])]
    plugins = read_plugins(plugin_names(plain), beside)
    load_plugins(plugins)
    plain["data"] = DataSettings.parse(plain.get("data")).map_places(_absolute).plain
    run = dict(plain.get("run") or {})
    plain["run"] = {**run, "dir": _absolute(str(run.get("dir") or "runs")), "address": "auto"}
    plain["plugins"] = [plugin_copy(plugin) for plugin in plugins]
    if _ON_CLUSTER not in str(plain):
        parse_recipe(resolved(recipe, plain))
    name = str(run.get("name") or plain["name"])
    return Job(name, os.path.join(plain["run"]["dir"], name), _files(plain, plugins))


def _files(plain: Mapping[str, Any], plugins: Sequence[Plugin]) -> dict[str, str]:
    from omegaconf import OmegaConf

    sources = {plugin_copy(plugin): plugin["source"] for plugin in plugins if "source" in plugin}
    return {RECIPE: OmegaConf.to_yaml(OmegaConf.create(dict(plain))), **sources}


def _absolute(place: str) -> str:
    return place if place.startswith("${") else absolute_place(place)


def _entrypoint() -> str:
    """Return the job's command: this very Python where the cluster has it, as on one machine, else the image's."""
    here = shlex.quote(sys.executable)
    return f"P={here}; [ -x $P ] || P=python; exec $P -m descant_cluster.job {RECIPE}"


def _record(name: str) -> Path:
    return state_path() / _JOBS / f"{Path(name).name}.json"
