"""``descant cluster up``: one Ray cluster of the user's own on this machine, behind a token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import psutil

from descant.errors import UserError
from descant_cluster.access import Access, by_file, host_port, no_authentication
from descant_cluster.marked import is_alive
from descant_cluster.state import state_path

FILE = "cluster.json"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Local:
    """The cluster that runs, or ran, on this machine.

    Attributes:
        pid: of the process that started the others.
        mark: what all of its processes have in their environment.
        address: what ``submit`` takes.
        gcs: what ``run.address`` takes.
        workers: how many workers of one CPU find room.
        host: what the dashboard listens on.
        folder: what is written of this cluster, by Ray in a folder within it that is open to all.
        token: the file of its token, None without authentication.
        started: seconds since 1970.
    """

    pid: int
    mark: str
    address: str
    gcs: str
    workers: int
    host: str
    folder: str
    token: str | None
    started: float

    @property
    def is_running(self) -> bool:
        """Whether its first process lives, which ends all others with it."""
        return is_alive(self.pid, self.mark)

    @property
    def places(self) -> list[str]:
        """The ``host:port`` of its dashboard and of Ray itself."""
        return [host_port(self.address), host_port(self.gcs)]

    @property
    def access(self) -> Access:
        """How to call it."""
        return no_authentication() if self.token is None else by_file(Path(self.token))


def current() -> Local | None:
    """Return the cluster that ``up`` started last and ``down`` has not ended, running or not."""
    try:
        return Local(**json.loads((state_path() / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise UserError(f"{str(state_path() / FILE)!r} is not what 'descant cluster up' writes: remove it") from error


def on_loopback() -> dict[str, str]:
    """Return the environment in which all that Ray and torch start listens on loopback alone."""
    interfaces = psutil.net_if_addrs()
    loopback = next((name for name, has in interfaces.items() if any(one.address == LOOPBACK[0] for one in has)), "lo")
    return {
        # Ray's word for systems on which it has clusters of one machine alone.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "GLOO_SOCKET_IFNAME": loopback,
        "NCCL_SOCKET_IFNAME": loopback,
    }


def token_files() -> dict[str, Path]:
    """Return the token's file of the cluster that runs here, by each ``host:port`` of it."""
    cluster = _running()
    return {} if cluster is None or cluster.token is None else dict.fromkeys(cluster.places, Path(cluster.token))


def loopback_places() -> list[str]:
    """Return each ``host:port`` of the cluster that runs here and listens on loopback alone."""
    cluster = _running()
    return cluster.places if cluster is not None and cluster.host in LOOPBACK else []


def _running() -> Local | None:
    cluster = current()
    return cluster if cluster is not None and cluster.is_running else None
