"""One process at a time trains in a run folder, and a killed one leaves it free."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from descant.errors import UserError
from descant.run.lock import RunLock

HOLDER = """
import sys
from pathlib import Path
from descant.run.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_told_who_trains_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"is being trained by process {holder.pid} on .*: wait for it or stop"):
            RunLock(tmp_path)
        holder.kill()
    RunLock(tmp_path).release()
    first = RunLock(tmp_path)
    with pytest.raises(UserError, match="is being trained by process"):
        RunLock(tmp_path)
    first.release()
