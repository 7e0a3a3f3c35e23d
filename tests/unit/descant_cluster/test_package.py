"""The project as files that import from a folder on the path, with its entry points."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from descant_cluster.package import project_files, zipped

LISTS = """
import importlib.metadata, descant, descant_cluster.runner, descant_recipes
found = {entry.name for entry in importlib.metadata.entry_points(group="descant.tasks")}
print(descant.__file__, descant_cluster.runner.__file__, "genre" in found, importlib.metadata.version("descant"))
from descant.recipe import shipped_recipes
assert "demo" in shipped_recipes()
"""


def test_the_project_imports_from_what_a_job_takes_along(tmp_path: Path) -> None:
    _, content = zipped(project_files())
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    assert len({path.name for path in tmp_path.iterdir()}) == 5, "several, or Ray would take the only one for wrapping"
    assert not list(tmp_path.rglob("*.pyc"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", LISTS],
        env=environment | {"PYTHONPATH": str(tmp_path)},
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert words[0].startswith(str(tmp_path)) and words[1].startswith(str(tmp_path)) and words[2] == "True"


def test_the_same_files_have_the_same_name_and_others_another() -> None:
    assert zipped({"a": b"1", "b": b"2"}) == zipped({"b": b"2", "a": b"1"})
    assert zipped({"a": b"1"})[0] != zipped({"a": b"2"})[0]
