"""``descant cluster up`` and ``down``: a Ray head behind a token, and the end of all that it has started."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from descant.errors import RunError, UserError
from descant.locks import FileLock
from descant_cluster.access import Access, by_file, no_authentication
from descant_cluster.local import FILE, LOOPBACK, Local, current, on_loopback
from descant_cluster.marked import MARK, end, marked
from descant_cluster.rest import Dashboard
from descant_cluster.state import TOKEN, new_token, state_folder, write_private
from descant_cluster.tls import check_tls

PORT = 8265  # where users of Ray expect its dashboard
_EVERYWHERE = ("0.0.0.0", "::")
_START_S = 180.0
_END_S = 20.0
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # the default of 15 starves workers on a machine that does anything else
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a worker that asked for no GPU sees none
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # its end is the end of all that it could be drained to
}


@dataclass(frozen=True)
class Wish:
    """What ``up`` is asked for.

    Attributes:
        workers: CPUs that the cluster offers.
        host: what the dashboard listens on.
        port: of the dashboard; None takes 8265, or a free one where that is taken.
        authentication: whether callers need a token.
        anyone: the user's word that anyone who reaches the machine may run code on it.
    """

    workers: int
    host: str = "127.0.0.1"
    port: int | None = None
    authentication: bool = True
    anyone: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK

    def check(self) -> None:
        """Raise a UserError for what cannot be, or should not without a word."""
        if self.workers < 1:
            raise UserError(f"--workers {self.workers} is too few: give 1 or more")
        if not self.authentication and not self.is_loopback and not self.anyone:
            raise UserError(
                f"--host {self.host} without authentication lets everybody who reaches this machine run any program "
                f"on it: leave --no-authentication out, or say --anyone-may-run-programs-here too"
            )


def up(wish: Wish) -> Local:
    """Start the cluster and return it once it answers.

    Raises:
        UserError: one runs already, or the wish cannot be.
        RunError: it did not start; nothing of it is left.
    """
    wish.check()
    check_tls()
    state = state_folder()
    with FileLock(state / ".lock") as lock:
        lock.own()
        before = current()
        if before is not None and before.is_running:
            raise UserError(
                f"a cluster runs already, at {before.address}: use it, or end it first with 'descant cluster down'"
            )
        if before is not None:
            _clear(before)
        cluster, process = _start(wish, state)
        try:
            write_private(state / FILE, json.dumps(dataclasses.asdict(cluster)))
            _wait_until_it_answers(cluster, process)
        except BaseException:
            _clear(cluster)
            process.wait()
            raise
    return cluster


def down() -> Local | None:
    """End all processes of the cluster, and return what ran; None where nothing did."""
    with FileLock(state_folder() / ".lock") as lock:
        lock.own()
        cluster = current()
        if cluster is not None:
            _clear(cluster)
    return cluster


def _start(wish: Wish, state: Path) -> tuple[Local, subprocess.Popen[bytes]]:
    port, gcs_port = _free_port(wish.host, wish.port), _free_port(wish.host, 0)
    token = new_token(state / TOKEN) if wish.authentication else None
    access = by_file(token) if token is not None else no_authentication()
    # Sockets lie in it, whose paths must be short; mkdtemp makes it for its owner alone.
    folder = Path(tempfile.mkdtemp(prefix="descant-"))
    mark = folder.name + f"-{time.time_ns():x}"
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(
            _command(wish, folder, port, gcs_port),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(wish, access) | {MARK: mark},
            start_new_session=True,
        )
    name = "127.0.0.1" if wish.is_loopback else _own_address() if wish.host in _EVERYWHERE else wish.host
    cluster = Local(
        pid=process.pid,
        mark=mark,
        address=f"http://{name}:{port}",
        gcs=f"{name}:{gcs_port}",
        workers=wish.workers,
        host=wish.host,
        folder=str(folder),
        token=None if token is None else str(token),
        started=time.time(),
    )
    return cluster, process


def _environment(wish: Wish, access: Access) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in (*access.variables, "RAY_ADDRESS")}
    given = {name: value for name, value in access.variables.items() if value is not None}
    # Jobs find this environment's programs.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return kept | given | _ENVIRONMENT | (on_loopback() if wish.is_loopback else {}) | {"PATH": path}


def _command(wish: Wish, folder: Path, port: int, gcs_port: int) -> list[str]:
    host = "127.0.0.1" if wish.is_loopback else wish.host
    node = [] if wish.is_loopback or host in _EVERYWHERE else [f"--node-ip-address={host}"]
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *(f"--num-cpus={wish.workers}", f"--port={gcs_port}", f"--temp-dir={folder / 'ray'}", *node),
        *("--include-dashboard=true", f"--dashboard-host={host}", f"--dashboard-port={port}"),
        "--dashboard-agent-listen-port=0",
        f"--ray-client-server-port={_free_port(wish.host, 0)}",
        "--disable-usage-stats",
    ]


def _own_address() -> str:
    """Return the address by which this machine would reach others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of the block that is for documentation
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def _free_port(host: str, wanted: int | None) -> int:
    """Return a port that is free now: the wanted one, any for 0, and for None Ray's usual one if it can be had."""
    for port in [PORT, 0] if wanted is None else [wanted]:
        with suppress(OSError), socket.create_server(("127.0.0.1" if host in LOOPBACK else "", port)) as server:
            return int(server.getsockname()[1])
    raise UserError(f"the port {wanted} is taken: give another --port, or none for a free one")


def _wait_until_it_answers(cluster: Local, process: subprocess.Popen[bytes]) -> None:
    dashboard = Dashboard(cluster.address, cluster.access)
    deadline_s = time.monotonic() + _START_S
    while True:
        if process.poll() is not None:
            raise RunError(f"Ray did not start: {_last_line(Path(cluster.folder) / 'start.log')}")
        with suppress(RunError, UserError):
            if dashboard.is_ready():
                return
        if time.monotonic() > deadline_s:
            raise RunError(f"Ray did not answer at {cluster.address} within {_START_S:.0f} s: try again")
        time.sleep(0.1)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it said nothing"


def _clear(cluster: Local) -> None:
    """End what is left of a cluster, its first process first: that one ends the others in their order."""
    if cluster.is_running:
        with suppress(ProcessLookupError):
            os.kill(cluster.pid, signal.SIGTERM)
        deadline_s = time.monotonic() + _END_S
        while cluster.is_running and time.monotonic() < deadline_s:
            time.sleep(0.1)
    end(marked(cluster.mark, cluster.folder), patience_s=5.0)
    shutil.rmtree(cluster.folder, ignore_errors=True)
    (state_folder() / FILE).unlink(missing_ok=True)
