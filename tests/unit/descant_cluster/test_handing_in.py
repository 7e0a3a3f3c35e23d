"""What travels with a job: the recipe as one file, its plugins, and nothing of this machine's environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from descant.errors import UserError
from descant.recipe import compose
from descant_cluster.handing_in import RECIPE, job_of, remembered

PLUGIN = "from descant import Classification\n"


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = home / "here"
    folder.mkdir()
    (folder / "a_plugin_of_a_job.py").write_text(PLUGIN)
    (folder / "mine.yaml").write_text(
        "defaults: [genre, _self_]\nplugins: [a_plugin_of_a_job.py]\ndata: ${oc.env:DESCANT_TEST_PLACE}/data\n"
    )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DESCANT_TEST_PLACE", "/secret/of/the/client")
    return folder


def test_a_job_is_one_recipe_with_its_plugins(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of("mine.yaml", ["trainer.epochs=3", "run.name=my run"])
    assert set(job.files) == {RECIPE, "plugins/a_plugin_of_a_job.py"}
    assert (job.run, job.folder) == ("my run", str(here / "runs" / "my run"))
    assert "/secret/of/the/client" not in str(job)
    there = tmp_path / "there"
    for name, text in job.files.items():
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text(text)
    monkeypatch.setenv("DESCANT_TEST_PLACE", "/of/the/cluster")
    plain = compose(str(there / RECIPE), ["trust=true"])
    assert plain["data"] == "/of/the/cluster/data"
    assert plain["trainer"]["epochs"] == 3
    assert plain["run"] == {"name": "my run", "dir": str(here / "runs"), "address": "auto"}
    assert plain["plugins"] == ["plugins/a_plugin_of_a_job.py"]


def test_relative_data_is_that_of_the_folder_where_one_types(here: Path) -> None:
    written = yaml.safe_load(job_of("mine.yaml", ["data=[some/data,s3://bucket/more]"]).files[RECIPE])
    assert written["data"]["sources"] == {
        "data": {"data": str(here / "some/data")},
        "more": {"data": "s3://bucket/more"},
    }
    assert os.path.isabs(written["run"]["dir"])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["run.address=head:6379"], "run.address is what --address says"),
        (["plugins=[none.py]"], "there is no plugin file 'none.py'"),
        (["data=data", "trainer.epochs=0"], "trainer.epochs is 0"),
        (["trainer"], "write key=value"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(here: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        job_of("mine.yaml", overrides)


def test_a_job_of_elsewhere_is_not_remembered(home: Path) -> None:
    assert remembered("demo-1a2b3c") is None and remembered("../../etc/passwd") is None
    assert not (home / ".local").exists(), "a question leaves nothing behind"
