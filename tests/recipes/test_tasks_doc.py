"""docs/tasks.md as a reader goes through it: its files are written and its commands are run, in order, shrunk."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from descant.cli.main import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"
SMALL = ["run=inline", "trainer.batch_size=8", "trainer.loader_workers=0"]
SHRUNK = {
    ("data", "demo"): ["--tracks", "24", "--seconds", "1", "--faces", "80", "--jobs", "1"],
    ("pack", "mtfl"): ["--jobs", "1"],
    ("train",): [*SMALL, "trainer.epochs=2"],
    ("compare",): [*SMALL, "trainer.epochs=1", "--jobs", "1"],
}


def parts(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (language, block, the file that the text before it names last) for each fenced block in order."""
    file = ""
    for before, language, block in re.findall(r"(.*?)^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        named = re.findall(r"`(\w+\.(?:py|yaml))`", before)
        file = named[-1] if named else file
        yield language, block, file


def run(line: str) -> None:
    """Run a command line of the page."""
    words = shlex.split(line)
    if words[:3] == ["python", "-m", "pytest"]:
        command = [sys.executable, *words[1:], "-q", "-p", "no:cacheprovider"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0 and "1 passed" in ended.stdout, ended.stdout + ended.stderr
        return
    assert words[0] == "descant", line
    smaller = next((more for start, more in SHRUNK.items() if tuple(words[1 : 1 + len(start)]) == start), [])
    if "good_enough" in line:
        smaller = [*smaller, "tasks.frontal.stop.loss=100"]  # so that it stops after the first of few epochs
    if "--seeds" in words:
        words[words.index("--seeds") + 1] = "1"
    assert main([*words[1:], *smaller]) == 0, line


@pytest.mark.slow
def test_each_file_and_command_of_the_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for language, block, file in parts(PAGE.read_text(encoding="utf-8")):
        if language:
            Path(file).write_text(block)
        else:
            for line in block.replace("\\\n", " ").splitlines():
                run(line)
    assert {path.name for path in Path("runs").iterdir()} == {
        "frontal",
        "stopped",
        "enough",
        "mirrored",
        "bottleneck",
        "compare-frontal",
    }
    summary = json.loads(Path("runs/enough/summary.json").read_text())
    assert summary["tasks"]["frontal"]["stopped"] == {"epoch": 0, "rule": "good_enough", "action": "freeze"}
    assert "frontal has stopped" in capsys.readouterr().out
