"""A cluster of one's own behind a token, and jobs on it from a folder with a recipe and a plugin alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from descant_cluster.marked import marked
from support import mel_data_set

pytestmark = [pytest.mark.ray, pytest.mark.slow]
# Of the head, of a node and of each process that runs tasks.
SERVICES = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "CoreWorkerService/GetCoreWorkerStats",
)
PATIENCE_S = 240.0  # a bound for a hanging test, not a measure
PLUGIN = """
from descant import Classification, register_task

@register_task("tone_of_a_job")
class Tone(Classification):
    \"\"\"The genre under another name.\"\"\"
    label = "genre"
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


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """The user of a cluster of two workers, which is ended at the end."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("clean")
    (folder / "my_recipe.yaml").write_text(RECIPE)
    (folder / "my_tasks.py").write_text(PLUGIN)
    user = User(home, folder)
    try:
        started = user.says("cluster", "up", "--workers", "2")
        assert started.returncode == 0, started.stderr
        assert user.cluster()["address"] in started.stdout.splitlines(), "on a line of its own"
        yield user
    finally:
        all_of_it = user.processes()
        ended = user.says("cluster", "down")
        gone = not (user.home / ".local/state/descant/cluster.json").exists()
        left = [process.cmdline() for process in all_of_it if process.is_running()]
        for process in all_of_it:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    assert ended.returncode == 0 and left == [] and gone


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"data={mel_data_set(tmp_path_factory.mktemp('mels'), train=64, validation=8, test=8, frames=20)}"


def one_sentence(done: subprocess.CompletedProcess[str], words: str, code: int = 2) -> None:
    """Assert that a command was refused in one sentence, without a word of the token."""
    assert done.returncode == code, done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(said) == 1 and said[0].startswith("descant: "), done.stderr
    assert words in said[0]


def test_a_second_cluster_is_refused_and_the_first_one_is_known(user: User) -> None:
    one_sentence(user.says("cluster", "up"), "a cluster runs already, at http://127.0.0.1:")
    told = user.says("cluster", "status")
    assert told.returncode == 0 and user.cluster()["address"] in told.stdout.splitlines()
    assert user.jobs() == {}


def test_the_token_is_its_owners_alone(user: User) -> None:
    state = user.home / ".local/state/descant"
    token = state / "token"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for file in (token, state / "cluster.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = token.read_text()
    assert len(secret) == 64
    folder = Path(user.cluster()["folder"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(user.processes()) > 4
    for process in psutil.process_iter():
        try:
            assert secret not in " ".join(process.cmdline()), "in the list of processes"
        except psutil.Error:
            continue
    for file in folder.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file


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


def test_without_a_token_or_with_a_wrong_one_nothing_runs(user: User, data: str, tmp_path: Path) -> None:
    address = user.cluster()["address"]
    submit = ["submit", "my_recipe.yaml", "--address", address, data]
    stranger = User(tmp_path, user.folder)
    one_sentence(stranger.says(*submit), "there is no token for the cluster at")
    wrong = tmp_path / "wrong"
    wrong.write_text("0" * 64)
    wrong.chmod(0o600)
    one_sentence(user.says(*submit, RAY_AUTH_TOKEN_PATH=str(wrong)), "refuses the token of")
    refused = user.says(*submit, RAY_AUTH_TOKEN="1" * 64)
    one_sentence(refused, "refuses the token of RAY_AUTH_TOKEN")
    assert "1" * 64 not in refused.stdout + refused.stderr
    one_sentence(user.says(*submit, RAY_AUTH_MODE="disabled"), "wants a token and got none")
    one_sentence(user.says("logs", "any", RAY_AUTH_TOKEN="1" * 64), "refuses the token of RAY_AUTH_TOKEN")
    train = ["train", "my_recipe.yaml", data, f"run.address={user.cluster()['gcs']}", "run.name=stranger"]
    refused = user.says(*train, RAY_AUTH_TOKEN="1" * 64)
    assert refused.returncode == 2 and "refuses the token of RAY_AUTH_TOKEN" in refused.stderr, refused.stderr
    assert refused.stderr.count("descant: ") == 1 and "Traceback" not in refused.stderr
    assert user.jobs() == {}


def summary(user: User, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((user.folder / "runs" / run / "summary.json").read_text())
    return found


def wait_for_steps(user: User, run: str, steps: int) -> None:
    rows = user.folder / "runs" / run / "metrics.jsonl"
    deadline_s = time.monotonic() + PATIENCE_S
    while not rows.exists() or rows.read_bytes().count(b'"metric": "loss"') < 2 * steps:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def job_name(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    (name,) = re.findall(r"^job: (\S+)$", done.stdout, flags=re.MULTILINE)
    return str(name)


def test_a_job_is_submitted_stopped_continued_killed_and_continued(user: User, data: str) -> None:
    submit = ["submit", "my_recipe.yaml", data, "trainer.epochs=400", "trainer.checkpoint_s=1", "run.name=long"]
    first = job_name(user.says(*submit))
    assert user.jobs() == {first: "running"}
    wait_for_steps(user, "long", 20)
    check_nothing_answers_strangers(user)
    stopped = user.says("stop", first)
    assert stopped.returncode == 0 and f"descant resubmit {first}" in stopped.stdout
    assert user.jobs() == {first: "stopped"}
    assert summary(user, "long")["status"] == "interrupted"
    consumed = summary(user, "long")["data"]["consumed"]
    assert 0 < consumed < 400 * 64

    second = job_name(user.says("resubmit", first))
    before = (user.folder / "runs/long/metrics.jsonl").read_bytes().count(b"\n")
    wait_for_steps(user, "long", before + 20)
    (driver,) = [process for process in user.processes() if "descant_cluster.job" in process.cmdline()]
    driver.kill()
    died = user.says("logs", second, "--follow")
    assert died.returncode == 1 and f"descant resubmit {second}" in died.stderr, died.stderr

    third = user.says("resubmit", second, "--wait")
    assert third.returncode == 0, third.stdout + third.stderr
    assert "best epoch" in third.stdout
    assert set(user.jobs().values()) == {"stopped", "failed", "succeeded"}
    done = summary(user, "long")
    assert (done["status"], done["resumed"], done["data"]["consumed"]) == ("finished", 2, 400 * 64)
    assert "tone_of_a_job" in done["tasks"]
    assert "best epoch" in user.says("logs", job_name(third)).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data=/nowhere/at/all"], "/nowhere/at/all"),
        (["run.dir=/proc/runs"], "/proc/runs"),
        (["trainer.epochs=0"], "trainer.epochs is 0"),
    ],
)
def test_what_cannot_work_is_one_sentence_at_once(user: User, data: str, words: Sequence[str], said: str) -> None:
    done = user.says("submit", "my_recipe.yaml", data, "run.name=refused", *words)
    assert done.returncode == 2, done.stdout + done.stderr
    sentences = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("descant: ")]
    assert len(sentences) == 1 and said in sentences[0]
    assert "Traceback" not in done.stdout + done.stderr


def test_train_takes_the_token_by_itself(user: User, data: str) -> None:
    words = ["trainer.epochs=1", "run.name=direct", "run.workers=2", f"run.address={user.cluster()['gcs']}"]
    done = user.says("train", "my_recipe.yaml", data, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(user, "direct")["status"] == "finished"
    secret = (user.home / ".local/state/descant/token").read_text().encode()
    assert all(secret not in file.read_bytes() for file in (user.folder / "runs").rglob("*") if file.is_file())
