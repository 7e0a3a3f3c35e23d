"""``descant top``: one plain table in a pipe, a live one on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from descant.cli.main import main


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs, one of which has ended."""
    monkeypatch.chdir(tmp_path)
    for name in ("ended", "new"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text("tasks: {genre: {role: main}}\n")
    main_task = {"task": "genre", "metric": "accuracy", "value": 0.5, "epoch": 1}
    (tmp_path / "runs" / "ended" / "summary.json").write_text(json.dumps({"status": "failed", "main": main_task}))
    return tmp_path / "runs"


def test_in_a_pipe_it_is_one_plain_table(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top"]) == 0
    heading, new, ended = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["run", "status", "epoch"]
    assert new.split()[:2] == ["runs/new", "running"]
    assert re.match(r"runs/ended +failed +genre accuracy 0\.5000 .* 0 +\d+ s ago$", ended)


def test_as_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", str(runs), "--json"]) == 0
    new, ended = json.loads(capsys.readouterr().out)
    assert (new["status"], ended["folder"], ended["value"]) == ("running", str(runs / "ended"), 0.5)


def test_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["top"]) == 2
    assert (
        capsys.readouterr().err == "descant: there is no folder 'runs': give one that holds runs, as run.dir names it\n"
    )
    assert main(["top", ".", "--interval", "0"]) == 2
    assert "--interval is 0: give seconds above 0" in capsys.readouterr().err
    assert main(["top", "."]) == 0
    assert capsys.readouterr().out == "no runs in .\n"


def test_on_a_terminal_it_goes_on_until_ctrl_c(runs: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "descant", "top", "--interval", "0.05"]
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "60"}
    ) as process:
        os.close(theirs)
        shown, deadline_s = b"", time.monotonic() + 60
        while shown.count(b"2 runs, 1 running") < 3:
            assert time.monotonic() < deadline_s, shown
            shown += os.read(ours, 1 << 16)
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            try:
                shown += os.read(ours, 1 << 16)
            except OSError:  # the other end has closed
                break
        assert process.wait() == 0
    os.close(ours)
    assert b"failed" in shown and b"Traceback" not in shown
