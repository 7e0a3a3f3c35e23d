"""The command line: exit codes, one sentence for an error, help without heavy imports."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from descant.cli.main import COMMANDS, main

HEAVY = ("torch", "ray", "timm", "torchaudio", "accelerate", "matplotlib", "sklearn", "scipy", "hydra")
PROGRAM = """
import sys
from descant.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print("CODE", code, "HEAVY", [name for name in {heavy!r} if name in sys.modules])
"""


def run(*words: str, heavy: tuple[str, ...] = HEAVY) -> tuple[str, str]:
    """Return the command's output and its last line: exit code and heavy modules."""
    command = [sys.executable, "-c", PROGRAM.format(heavy=heavy), *words]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    body, _, last = printed.rstrip().rpartition("\n")
    return body, last


def test_help_of_every_command_imports_nothing_heavy() -> None:
    words = [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS), ["data", "demo", "--help"]]
    with ThreadPoolExecutor(2) as pool:
        for given, (body, last) in zip(words, pool.map(lambda given: run(*given), words), strict=True):
            assert last == "CODE 0 HEAVY []", (given, last)
            assert body.startswith("descant 0." if given == ["--version"] else "usage: descant"), given
            if given == ["--help"]:
                assert set(COMMANDS) <= {line.split()[0] for line in body.splitlines() if line.startswith("    ")}


@pytest.mark.parametrize(
    ("command", "known"), [("tasks", "genre"), ("recipes", "genre_reconstruction"), ("balancers", "static")]
)
def test_listings_have_one_line_each_and_need_no_torch(command: str, known: str) -> None:
    body, last = run(command, heavy=("torch", "ray", "timm"))
    assert last == "CODE 0 HEAVY []"
    lines = body.splitlines()
    (line,) = [line for line in lines if line.split()[0] == known]
    assert len(line.split()) > 3
    assert [line.split()[0] for line in lines] == sorted(line.split()[0] for line in lines)


@pytest.mark.parametrize(
    "words", [[], ["evaluate"], ["train", "--no-such-option"], ["data"], ["--", "tasks"], ["pack", "nope", "a", "b"]]
)
def test_wrong_usage_is_one_sentence_that_says_where_help_is(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert re.fullmatch(r"descant: .*; 'descant.* --help' says what is allowed\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "there is no command 'trian': did you mean 'train'?"),
        (["train"], "train needs a recipe first: one that 'descant recipes' lists"),
        (["train", "trainer.epochs=3"], "train needs a recipe first"),
        (["train", "genr"], "there is no recipe 'genr': did you mean 'genre'"),
        (["train", "genre", "data=nowhere", "run=inline"], "there is no data set at"),
        (["train", "genre", "trainer.epochs"], "write key=value"),
        (["train", "genre", "trainr.epochs=1"], "no key 'trainr' in a recipe: did you mean 'trainer'"),
        (["evaluate", "nowhere"], "there is no run at 'nowhere'|there is no run at"),
        (["evaluate", "nowhere", "splt=test"], "evaluate has no key 'splt': did you mean 'split'"),
        (["predict", "nowhere", "."], "there is no run at"),
        (["predict", "nowhere", ".", "a.wav", "b.wav"], "there is no file 'a.wav' and 1 more"),
        (["data", "info", "nowhere"], "there is no data set at 'nowhere'"),
        (["tasks", "plugin=[x.py]"], "tasks has no key 'plugin'"),
        (["tasks", "plugins=[x.py]"], "there is no plugin file 'x.py'"),
    ],
)
def test_what_the_user_gave_wrong_is_one_sentence_and_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("descant: ")
    assert any(part in line for part in said.split("|"))
    assert main([*words, "--debug"]) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_plugins_tasks_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "listed_plugin.py"
    file.write_text(
        "from descant import Regression, register_task\n"
        "@register_task('tempo_of_a_test')\n"
        "class Tempo(Regression):\n    '''Beats per minute.'''\n    label = 'tempo'\n"
    )
    assert main(["tasks", f"plugins=[{file}]"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("tempo_of_a_test")]
    assert line.split("  ")[-1].strip() == "Beats per minute."
    assert "Regression" in line
