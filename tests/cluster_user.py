"""Somebody with a home of their own, who types the commands that have to do with clusters, in real processes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from descant_cluster.marked import marked

# Of the head, of a node and of each process that runs tasks.
SERVICES = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "CoreWorkerService/GetCoreWorkerStats",
)
PATIENCE_S = 240.0  # a bound for a hanging test, not a measure
PLUGIN = """
import pathlib, time
from descant import Classification, register_task

@register_task("tone_of_a_job")
class Tone(Classification):
    \"\"\"The genre under another name, which is slow to read while a file is there.\"\"\"
    label = "genre"

    def target(self, label, views):
        time.sleep(0.02 if pathlib.Path({slow!r}).exists() else 0)
        return super().target(label, views)
"""
RECIPE = """
defaults: [genre, _self_]
plugins: [my_tasks.py]
tasks:
  genre: {hidden: [4]}
  tone_of_a_job: {weight: 0.1}
inputs: {mel: {crop_frames: 10}}
trunk: {name: mlp, hidden: [4]}
trainer: {batch_size: 8, loader_workers: 0, log_steps: 1}
"""


@dataclass(frozen=True)
class User:
    """Somebody at a shell, with a home and a folder of their own."""

    home: Path
    folder: Path

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "XDG_", "DESCANT_"))}
        return {**kept, "HOME": str(self.home), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **variables}

    def says(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "descant", *words],
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def jobs(self) -> dict[str, str]:
        """Return the status of each job."""
        lines = self.says("status").stdout.splitlines()[1:]
        return {line.split()[0]: line.split()[1] for line in lines}

    def processes(self) -> list[psutil.Process]:
        """Return all processes of the cluster."""
        return marked(self.cluster()["mark"], self.cluster()["folder"])

    def cluster(self) -> dict[str, Any]:
        known: dict[str, Any] = json.loads((self.home / ".local/state/descant/cluster.json").read_text())
        return known

    def summary(self, run: str) -> dict[str, Any]:
        """Return what came of a run."""
        found: dict[str, Any] = json.loads((self.folder / "runs" / run / "summary.json").read_text())
        return found

    def wait_for_losses(self, run: str, count: int) -> None:
        """Wait until a run has logged so many losses."""
        rows = self.folder / "runs" / run / "metrics.jsonl"
        deadline_s = time.monotonic() + PATIENCE_S
        while not rows.exists() or rows.read_bytes().count(b'"metric": "loss"') < count:
            assert time.monotonic() < deadline_s
            time.sleep(0.1)


def one_sentence(done: subprocess.CompletedProcess[str], words: str, code: int = 2) -> None:
    """Assert that a command was refused in one sentence, without a word of the token."""
    assert done.returncode == code, done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(said) == 1 and said[0].startswith("descant: "), done.stderr
    assert words in said[0]


def listeners(user: User) -> dict[tuple[str, int], str]:
    """Return the address and port of every listening socket of the cluster, and whose it is."""
    found = {}
    for process in user.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    ip = connection.laddr.ip.removeprefix("::ffff:")
                    found[ip, connection.laddr.port] = " ".join(process.cmdline())[:80]
    return found


def check_nothing_answers_strangers(user: User) -> None:
    """Assert that all of a cluster listens on loopback alone, and that Ray refuses there who has no token."""
    import grpc

    found = listeners(user)
    assert len(found) > 9, "the head's services, its agents, the dashboard, and what each worker serves"
    assert {place: whose for place, whose in found.items() if place[0] not in ("127.0.0.1", "::1")} == {}
    answers = {}
    for ip, port in found:
        for service in SERVICES:
            for given in (None, [("authorization", f"Bearer {'0' * 64}")]):
                with grpc.insecure_channel(f"{ip}:{port}") as channel:
                    try:
                        channel.unary_unary(f"/ray.rpc.{service}")(b"", timeout=2.0, metadata=given)
                        answers[port, service] = "OK"
                    except grpc.RpcError as error:
                        answers[port, service] = error.code().name
    assert "OK" not in answers.values(), answers
    assert len({port for (port, _), code in answers.items() if code == "UNAUTHENTICATED"}) > 2, answers
