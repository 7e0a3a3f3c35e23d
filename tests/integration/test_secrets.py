"""A recipe that refers to the environment: no file of its run holds what stood there, and the run goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from descant.cli.main import main
from descant.tune.planning import make_plan
from descant.tune.trial import Job
from support import mel_data_set

SECRET = "hunter2-öffne-dich"
RECIPE = """
defaults: [genre, _self_]
name: ${oc.env:DESCANT_TEST_SHORT}
data: ${oc.env:DESCANT_TEST_PLACE}/data
plugins: [a_task_with_a_key.py]
tasks:
  genre: {hidden: [4]}
  keyed: {key: "Bearer ${oc.env:DESCANT_TEST_KEY}", weight: 0.1}
inputs: {mel: {crop_frames: 10}}
trunk: {name: mlp, hidden: [4]}
trainer: {epochs: 1, batch_size: 8, loader_workers: 0}
run: inline
"""
PLUGIN = """
from descant import Classification, register_task

@register_task("keyed")
class Keyed(Classification):
    \"\"\"A task that asks a service, which wants a key.\"\"\"
    label = "genre"

    def __init__(self, *given, key: str = "", **options):
        super().__init__(*given, **options)
        if not key.endswith("dich"):
            raise ValueError(f"the service refuses the key {key}")
"""

TUNE = "{space: {tasks.keyed.weight: {uniform: [0.1, 0.5]}}, trials: 1}"
TRIAL = """
import sys
from descant.tune.trial import Job, run_trial, train_here
run_trial(Job.from_json(sys.argv[1]), train_here, print)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    mel_data_set(tmp_path / SECRET / "data", train=16, validation=8, test=8, frames=20)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "a_task_with_a_key.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESCANT_TEST_KEY", SECRET)
    monkeypatch.setenv("DESCANT_TEST_PLACE", SECRET)
    monkeypatch.setenv("DESCANT_TEST_SHORT", "short")
    return tmp_path


def leaks(folder: Path) -> list[str]:
    forms = [form.encode() for form in (SECRET, json.dumps(SECRET)[1:-1], "hunter2")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 8
    return [str(path) for path in files if any(form in path.read_bytes() for form in forms)]


def test_no_file_of_a_run_holds_a_secret(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "recipe.yaml"]) == 0
    run = here / "runs" / "short"
    assert leaks(run) == []
    written = yaml.safe_load((run / "recipe.yaml").read_text())
    assert written["tasks"]["keyed"]["key"] == "Bearer ${oc.env:DESCANT_TEST_KEY}"
    assert written["data"].endswith("/${oc.env:DESCANT_TEST_KEY}/data") or written["data"].endswith("PLACE}/data")
    assert main(["train", "recipe.yaml"]) == 0, "the same recipe goes on"
    assert main(["evaluate", "runs/short"]) == 0
    assert main(["train", "runs/short/recipe.yaml"]) == 0, "its own recipe is the same run"
    assert "hunter2" not in "".join(capsys.readouterr())


def test_an_error_does_not_say_it(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESCANT_TEST_KEY", f"{SECRET}-of-yesterday")
    assert main(["train", "recipe.yaml", "--debug"]) != 0
    said = "".join(capsys.readouterr())
    assert "refuses the key Bearer ${oc.env:DESCANT_TEST_KEY}" in said and "hunter2" not in said
    monkeypatch.delenv("DESCANT_TEST_KEY")
    assert main(["train", "recipe.yaml"]) == 2
    assert "DESCANT_TEST_KEY" in capsys.readouterr().err


def test_no_file_of_a_trial_in_another_process_holds_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan("recipe.yaml", ["run.runner=ray", f"run.dir={here / 'runs'}", "run.name=study", f"tune={TUNE}"])
    folder = plan.folder / "trials" / "0000"
    params = {"tasks.keyed.weight": 0.2}
    sent = Job(0, params, plan.recipe_of(0, params), str(folder), plan.plugins).to_json()
    trial = subprocess.run([sys.executable, "-c", TRIAL, sent], capture_output=True, text=True, timeout=300)
    assert trial.returncode == 0, trial.stderr
    assert leaks(folder) == [] and "hunter2" not in trial.stdout + trial.stderr
