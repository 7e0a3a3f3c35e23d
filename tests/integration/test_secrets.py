"""A recipe that refers to the environment: no file of its run holds what stood there, and the run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from descant.cli.main import main
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
