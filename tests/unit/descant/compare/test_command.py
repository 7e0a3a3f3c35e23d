from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from descant.errors import RunError, UserError
from descant.report import read_run

ARMS = ("genre", "--arms", "tasks.reconstruction.weight=0,10", "--seeds", "2")
Command = Callable[..., int]


def starts(study: Path) -> dict[str, int]:
    return {path.parent.name: len(path.read_text().splitlines()) for path in study.glob("*/starts.txt")}


def test_a_study_is_made_told_and_not_made_twice(
    run_compare: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_compare(*ARMS, "trainer.epochs=3") == 0
    printed = capsys.readouterr()
    assert "genre accuracy (test)" in printed.out and "[4/4] finished" in printed.err
    assert printed.out.endswith("report: compare-genre/report.html\n") and "logs in compare-genre/logs" in printed.err
    study = tmp_path / "compare-genre"
    names = {path.name for path in study.iterdir()}
    assert {"report.html", "comparison.json", "curves.png", "curves.svg", "differences.png", "study.json"} <= names
    assert not [name for name in names if name.startswith(".")]
    assert run_compare(*ARMS, "trainer.epochs=3", "--json") == 0
    assert set(starts(study).values()) == {1}
    result = json.loads(capsys.readouterr().out)
    assert list(result["arms"]) == ["tasks.reconstruction.weight=0", "tasks.reconstruction.weight=10"]
    assert json.loads((study / "comparison.json").read_text()) == result


def test_more_seeds_only_add_runs_but_other_overrides_are_refused(run_compare: Command, tmp_path: Path) -> None:
    run_compare(*ARMS, "--name", "s")
    run_compare(*ARMS[:-1], "3", "--name", "s")
    assert sorted(starts(tmp_path / "s").values()) == [1] * 6
    with pytest.raises(UserError, match=r"another comparison .*trainer\.epochs=9"):
        run_compare(*ARMS, "--name", "s", "trainer.epochs=9")


def test_failed_runs_are_named_the_rest_compared_and_made_again(
    run_compare: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunError, match=r"2 of 4 runs failed .*weight-10\.seed-1: RunError: the loss of genre.*again$"):
        run_compare(*ARMS, "behaviour=fail-seed-1")
    assert "too few seeds" in capsys.readouterr().out
    study = tmp_path / "compare-genre"
    assert "became NaN" in (study / "report.html").read_text()
    for folder in study.glob("*seed-1"):
        (folder / "mended").touch()
    assert run_compare(*ARMS, "behaviour=fail-seed-1") == 0
    assert sorted(starts(study).values()) == [1, 1, 2, 2]


def test_runs_and_studies_that_are_there_are_compared(
    run_compare: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_compare(*ARMS, "--json")
    made = json.loads(capsys.readouterr().out)
    run_compare("compare-genre", "--json")
    again = json.loads(capsys.readouterr().out)
    for old, new in zip(made["arms"].values(), again["arms"].values(), strict=True):
        assert old["tasks"] == new["tasks"]
    folders = [str(path.parent) for path in sorted((tmp_path / "compare-genre").glob("*/summary.json"))]
    assert run_compare(*folders, "--name", "given") == 0
    assert (tmp_path / "given" / "report.html").is_file()
    assert read_run(Path(folders[0])).status == "finished"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("no-such-run",), "is no run folder"),
        (("a", "b", "--arms", "w=0,1"), "takes one recipe"),
        (("a", "w=1"), "'w=1' is for new runs, but there is nothing to run: add --arms"),
        (("a", "--seeds", "2"), "'--seeds 2' is for new runs"),
        (("a", "--jobs", "2"), "'--jobs 2' is for new runs"),
        (("a", "--arms", "w=0,1", "--jobs", "0"), "--jobs 0"),
        (("a", "--arms", "w=0,1", "--seeds", "0"), "--seeds 0"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence(run_compare: Command, words: tuple[str, ...], part: str) -> None:
    with pytest.raises(UserError, match=part) as refused:
        run_compare(*words)
    assert not str(refused.value).endswith(".")


def test_the_command_s_module_imports_nothing_slow() -> None:
    code = (
        "import sys, descant.cli.compare; print({'torch', 'matplotlib', 'scipy', 'numpy', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
