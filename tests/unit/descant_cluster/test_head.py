"""What ``cluster up`` refuses, and that ``down`` ends what was started and nothing else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from descant.errors import RunError, UserError
from descant_cluster.head import Wish, down, up
from descant_cluster.local import current
from descant_cluster.marked import MARK, is_alive, marked
from descant_cluster.state import state_folder

SLEEPS = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "head"])
def test_no_head_beyond_loopback_without_authentication(home: Path, host: str) -> None:
    wish = Wish(1, host, authentication=False)
    with pytest.raises(UserError, match="lets everybody who reaches this machine run any program"):
        up(wish)
    assert current() is None
    Wish(1, host, authentication=False, anyone=True).check()
    Wish(1, host).check()
    Wish(1, "127.0.0.1", authentication=False).check()


def test_a_taken_port_is_said(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(UserError, match="is taken"):
        up(Wish(1, port=server.getsockname()[1]))
    assert current() is None


def test_tls_without_its_files_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with pytest.raises(UserError, match="RAY_TLS_SERVER_CERT names no file"):
        up(Wish(1))
    for name in ("SERVER_CERT", "SERVER_KEY", "CA_CERT"):
        (home / name).write_text("pem")
        monkeypatch.setenv(f"RAY_TLS_{name}", str(home / name))
    (home / "SERVER_KEY").chmod(0o644)
    with pytest.raises(UserError, match="can be read by other users: chmod 600"):
        up(Wish(1))


def test_a_home_that_takes_no_state_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc")
    with pytest.raises(UserError, match="set XDG_STATE_HOME"):
        down()


def record(pid: int, mark: str, folder: Path) -> None:
    known = {"pid": pid, "mark": mark, "address": "http://127.0.0.1:1", "gcs": "127.0.0.1:2", "workers": 1}
    known |= {"host": "127.0.0.1", "folder": str(folder), "token": None, "started": time.time()}
    (state_folder() / "cluster.json").write_text(json.dumps(known))


def test_down_ends_what_has_the_mark_and_nothing_else(home: Path) -> None:
    folder = home / "ray"
    folder.mkdir()
    start = [sys.executable, "-c"]
    ours = subprocess.Popen([*start, SLEEPS], env=os.environ | {MARK: "of-this-test"})
    orphan = subprocess.Popen([*start, STUBBORN], env=os.environ | {MARK: "of-this-test"}, stdout=subprocess.PIPE)
    other = subprocess.Popen([*start, SLEEPS], env=os.environ | {MARK: "of-another"})
    try:
        assert orphan.stdout is not None and orphan.stdout.readline()
        record(ours.pid, "of-this-test", folder)
        cluster = current()
        assert cluster is not None and cluster.is_running
        assert {process.pid for process in marked("of-this-test", str(folder))} == {ours.pid, orphan.pid}
        assert down() == cluster
        assert ours.poll() is not None and orphan.poll() is not None and other.poll() is None
        assert not folder.exists() and current() is None and down() is None
    finally:
        for process in (ours, orphan, other):
            process.kill()
            process.wait()
        orphan.stdout.close() if orphan.stdout else None


def test_a_number_that_another_process_has_now_is_not_taken_for_the_cluster(home: Path) -> None:
    record(os.getppid(), "of-a-cluster-that-has-died", home / "none")
    cluster = current()
    assert cluster is not None and not cluster.is_running
    assert not is_alive(2**22 + 1, "of-a-cluster-that-has-died")
    assert down() == cluster, "it is cleared up, and nothing is ended"
    assert current() is None


def test_a_damaged_record_is_said(home: Path) -> None:
    (state_folder() / "cluster.json").write_text("{")
    with pytest.raises(UserError, match="is not what 'descant cluster up' writes: remove it"):
        down()


def test_ray_that_does_not_start_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "bin").mkdir()
    (home / "bin" / "ray.py").write_text("raise SystemExit('no ray today')")
    monkeypatch.setenv("PYTHONPATH", str(home / "bin"))
    with pytest.raises(RunError, match=r"^Ray did not start: .*"):
        up(Wish(1))
    assert current() is None
